"""What a drill prints. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo

from node.drill.model import DrillKind, DrillRequest, DrillResult, Outcome, Phase
from node.status_render import table

WORDS = {Outcome.PASSED: "PASSED", Outcome.LATE: "LATE", Outcome.FAILED: "FAILED"}
WHAT = {
    DrillKind.CRASH: "{target} kills its own process (SIGKILL), with an order in flight if it can",
    DrillKind.HANG: "{target} blocks its own work loop until the kernel's fence kills it",
    DrillKind.PARTITION: "{target} refuses its own calls to every store that is not on its box, "
    "and asks the other node nothing, for {lasting:.0f} s; it still answers, and still reaches the "
    "exchange. This is a cut in software; `nodectl drill plug` is the real thing",
    DrillKind.STORE: "both nodes treat the store {target} as unreachable for {lasting:.0f} s",
    DrillKind.SWITCHOVER: "{holder} hands over to {target}, on purpose",
    DrillKind.PLUG: "you pull the plug of {target}; this box watches",
}


def describe(request: DrillRequest) -> str:
    """Return what is going to be done."""
    return WHAT[request.kind].format(
        target=request.target, holder=request.holder, lasting=request.lasting_s
    )


def render_result(result: DrillResult) -> str:
    """Return phases, notes and the verdict."""
    lines = table(("phase", "after", "at most", ""), [_row(phase) for phase in result.phases])
    lines += ["", *result.notes]
    lines += [f"! {problem}" for problem in result.problems]
    lines.append(f"{WORDS[result.outcome]}  {result.summary}")
    return "\n".join(lines)


def render_history(results: Sequence[DrillResult], *, zone: tzinfo = UTC) -> str:
    """Return the drills on record, newest first."""
    if not results:
        return "no drill is on record"
    lines = []
    for result in reversed(results):
        when = datetime.fromtimestamp(result.at_ms / 1000, zone).strftime("%Y-%m-%d %H:%M %Z")
        lines.append(f"{when.strip()}  {WORDS[result.outcome]:<6}  {result.summary} ({result.by})")
    return "\n".join(lines)


def _row(phase: Phase) -> tuple[str, ...]:
    after = "-" if phase.after_s is None else f"{phase.after_s:.2f} s"
    budget = "" if phase.budget_s is None else f"{phase.budget_s:.1f} s"
    remark = "LATE" if phase.is_late else phase.note
    return (phase.name, after, budget, remark)

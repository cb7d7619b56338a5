"""Tables and bars out of what was measured. Pure.

Rules of this file: a budget is met or missed by the worst run, and said so; what has fewer runs
than asked for shows how many it has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.bench.chart import STRATEGY, TAKEOVER, WAIT, Bar, Group, Pair
from tests.bench.figures import Failover, Spread, spread
from tests.bench.rival_lab import Trial

DRIFT, HANG_LIMIT_S, SLACK_S = 0.02, 5.0, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """How a case is called, and what DESIGN allows from T0 to the first order (seconds)."""

    title: str
    note: str
    budget_s: float


def _after_ttl(ttl_s: float, more_s: float = 0.0) -> float:
    return ttl_s * (1 + DRIFT) + SLACK_S + more_s


ROWS: Mapping[str, Row] = {
    "plug": Row(title="Plug pulled", note="3 stores, ttl 6 s", budget_s=_after_ttl(6)),
    "plug-one-store": Row(
        title="Plug pulled", note="1 store on the Pi, ttl 6 s", budget_s=_after_ttl(6)
    ),
    "plug-ttl-3": Row(title="Plug pulled", note="3 stores, ttl 3 s", budget_s=_after_ttl(3)),
    "crash": Row(title="Crash, no stop hook", note="ttl 6 s", budget_s=_after_ttl(6)),
    "crash-hook": Row(title="Crash, stop hook", note="ttl 6 s", budget_s=1.0),
    "hang": Row(title="Work loop hangs", note="ttl 6 s", budget_s=_after_ttl(6, HANG_LIMIT_S)),
    "switchover": Row(title="Switchover", note="from the closed gate", budget_s=0.3),
}
SYSTEMS: Mapping[str, str] = {
    "hotspare": "hotspare",
    "redis": "redis-py Lock",
    "sentinel": "Lock on Sentinel",
    "keepalived": "keepalived",
}
FAULTS: Mapping[str, str] = {
    "plug": "the leading box loses its power",
    "cut": "the leading box is cut from the other boxes, not from the venue",
    "stop": "the leading process is stopped for 2 ttl, then goes on",
    "clock": "the wall clock of the boxes with a Redis steps by +1 h",
    "restart": "the Redis that holds the lock (all stores of hotspare) crashes, starts again",
}


def failover_table(runs: Sequence[Failover]) -> str:
    """Return one line a case: median and worst of each phase, and whether the budget was met."""
    lines = [
        "| | runs | granted | active | first order: median | p90 | worst | told: median | worst "
        "| budget | |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|",
    ]
    for name, row in ROWS.items():
        mine = [run for run in runs if run.case == name]
        first = spread(run.first_order_ms for run in mine)
        granted, active, told = (
            spread(values)
            for values in (
                [r.granted_ms for r in mine],
                [r.active_ms for r in mine],
                [r.told_ms for r in mine],
            )
        )
        if first is None or granted is None or active is None or told is None:
            continue
        is_met = first.most <= row.budget_s * 1000
        lines.append(
            f"| {row.title} ({row.note}) | {first.count} | {_s(granted.median)} "
            f"| {_s(active.median)} | **{_s(first.median)}** | {_s(first.p90)} "
            f"| **{_s(first.most)}** | {_s(told.median)} | {_s(told.most)} "
            f"| {row.budget_s:.2f} | {'PASS' if is_met else 'MISS'} |"
        )
    return "\n".join(lines)


def phases_table(runs: Sequence[Failover]) -> str:
    """Return the lengths of the phases themselves, so that a reader sees what costs the time."""
    lines = [
        "| | silence until the grant | grant → active | active → first order | "
        "gap between orders, worst |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, row in ROWS.items():
        mine = [run for run in runs if run.case == name]
        if not mine:
            continue
        silence = spread(
            None if r.silent_since_ms is None else r.granted_ms - r.silent_since_ms for r in mine
        )
        takeover = spread(r.active_ms - r.granted_ms for r in mine)
        pace = spread(r.first_order_ms - r.active_ms for r in mine)
        gap = spread(r.gap_ms for r in mine)
        lines.append(
            f"| {row.title} ({row.note}) | {_both(silence)} | {_both(takeover)} | {_both(pace)} "
            f"| {'-' if gap is None else _s(gap.most)} |"
        )
    return "\n".join(lines)


def rival_table(trials: Sequence[Trial], ttl_s: int) -> str:
    """Return one line a fault: for each system seconds with nobody, with two, doubled orders."""
    names = list(SYSTEMS)
    lines = [
        "| fault | " + " | ".join(SYSTEMS[n] for n in names) + " |",
        "|---" * (len(names) + 1) + "|",
    ]
    for fault, words in FAULTS.items():
        cells = [
            _cell([t for t in trials if (t.system, t.fault, t.ttl_s) == (name, fault, ttl_s)])
            for name in names
        ]
        if any(cells):
            lines.append(f"| {words} | " + " | ".join(c or "not run" for c in cells) + " |")
    return "\n".join(lines)


def failover_bars(runs: Sequence[Failover]) -> list[Bar]:
    """Return the bars of the chart: median phases, each run's first order as a dot."""
    bars = []
    for name, row in ROWS.items():
        mine = [run for run in runs if run.case == name]
        granted = spread(r.granted_ms for r in mine)
        takeover = spread(r.active_ms - r.granted_ms for r in mine)
        pace = spread(r.first_order_ms - r.active_ms for r in mine)
        if granted is None or takeover is None or pace is None:
            continue
        bars.append(
            Bar(
                label=row.title,
                note=f"{row.note}, {granted.count} runs",
                parts=[
                    (granted.median / 1000, WAIT),
                    (takeover.median / 1000, TAKEOVER),
                    (pace.median / 1000, STRATEGY),
                ],
                dots=[r.first_order_ms / 1000 for r in mine],
                budget_s=row.budget_s,
            )
        )
    return bars


def rival_groups(trials: Sequence[Trial], ttl_s: int) -> list[Group]:
    """Return the worst run of each system under each fault, grouped by fault."""
    groups = []
    for fault, words in FAULTS.items():
        pairs = []
        for name, label in SYSTEMS.items():
            mine = [t for t in trials if (t.system, t.fault, t.ttl_s) == (name, fault, ttl_s)]
            if mine:
                both = max(t.both_ms for t in mine) / 1000
                doubled = max(t.doubled for t in mine)
                nobody = max(t.nobody_ms for t in mine) / 1000
                note = f"{doubled} orders" if doubled else ""
                pairs.append(Pair(label=label, nobody_s=nobody, both_s=both, note=note))
        if pairs:
            groups.append(Group(title=words[0].upper() + words[1:], pairs=pairs))
    return groups


def _cell(trials: Sequence[Trial]) -> str:
    nobody = spread(t.nobody_ms for t in trials)
    both = spread(t.both_ms for t in trials)
    if nobody is None or both is None:
        return ""
    doubled = max(t.doubled for t in trials)
    two = f"**two for {_both(both)}, {doubled} orders**" if doubled else "two: never"
    ended = "" if all(t.is_over for t in trials) else ", **not back in time**"
    return f"nobody {_both(nobody)}{ended}; {two}"


def _both(found: Spread | None) -> str:
    return "-" if found is None else f"{_s(found.median)} / {_s(found.most)}"


def _s(value_ms: float) -> str:
    return f"{value_ms / 1000:.2f}"

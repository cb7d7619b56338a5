"""nodectl simulate: the production node through simulated storms; the same seed, the same run."""

import json
from typing import Annotated, Any

import typer

from node.cli.common import JsonOption, say

app = typer.Typer(add_completion=False)
VIOLATED = 1
TOO_CALM = 2

SeedOption = Annotated[int, typer.Option("--seed", "-s", min=0, help="Which run.")]
CountOption = Annotated[int, typer.Option("--count", "-c", min=1, help="So many seeds from it.")]
HoursOption = Annotated[
    float,
    typer.Option(
        "--hours",
        min=0.01,
        max=10_000,
        help="Simulated hours of each seed, in whole storms and calms; a last calm comes on top.",
    ),
]
StoresOption = Annotated[int, typer.Option("--stores", help="Lease stores: 1 or 3.")]
ShowOption = Annotated[bool, typer.Option("--show", help="Print the whole timeline of one seed.")]
CalmOption = Annotated[bool, typer.Option("--calm", help="Let nothing go wrong.")]
InsistOption = Annotated[
    bool, typer.Option("--insist", help="End with 2 unless every kind of fault was seen.")
]
JobsOption = Annotated[int, typer.Option("--jobs", "-j", min=1, max=64, help="Processors to use.")]


@app.command()
def simulate(
    seed: SeedOption = 1,
    count: CountOption = 1,
    hours: HoursOption = 1.0,
    stores: StoresOption = 3,
    jobs: JobsOption = 1,
    *,
    show: ShowOption = False,
    calm: CalmOption = False,
    insist: InsistOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run this very program's nodes in simulated time, with everything going wrong.

    Nothing of your cluster is touched: clocks, network, stores, disks and venue are simulated.

    Exit codes: 0 no promise was broken · 1 one was (the timeline says how) ·
    2 with --insist: something that should have gone wrong never did · 64 wrong usage.
    """
    from node.sim.campaign import render_summary, summarise  # noqa: PLC0415  (only when asked)
    from node.sim.simulation import Plan, Simulation  # noqa: PLC0415
    from node.sim.timeline import render_timeline  # noqa: PLC0415

    if stores not in {1, 3}:
        raise typer.BadParameter("it must be 1 or 3", param_hint="--stores")
    if show and (count != 1 or as_json or insist):
        raise typer.BadParameter(
            "it prints one seed as text: leave out --count, --json and --insist",
            param_hint="--show",
        )
    plans = [
        Plan(seed=number, hours=hours, stores=stores, has_storms=not calm)
        for number in range(seed, seed + count)
    ]
    if show:
        report = Simulation(plans[0]).run()
        say(render_timeline(report.timeline))
        if report.violations:
            say(_how_to_keep(plans[0], report.violations[0]))
        raise typer.Exit(VIOLATED if report.violations else 0)

    def show_failure(plan: Plan, violation: str, timeline: str) -> None:
        if not as_json:
            say(f"\n{timeline}\n")
            say(f"seed {plan.seed}, stores {plan.stores}, hours {plan.hours}: {violation}")
            say(_how_to_keep(plan, violation))

    summary = summarise(plans, jobs=jobs, on_failure=show_failure)
    say(
        json.dumps(_as_json(summary), indent=2)
        if as_json
        else render_summary(summary, stores=stores)
    )
    if summary.failures:
        raise typer.Exit(VIOLATED)
    if insist and summary.unseen:
        if not as_json:
            say(f"never seen: {', '.join(summary.unseen)}; run more seeds or longer ones")
        raise typer.Exit(TOO_CALM)


def _how_to_keep(plan: Any, violation: str) -> str:
    """Return what prints a failing seed again, and its row for tests/sim/regressions.py."""
    again = f"nodectl simulate --seed {plan.seed} --hours {plan.hours} --stores {plan.stores}"
    calm, has_storms = ("", "") if plan.has_storms else (" --calm", "has_storms=False, ")
    return (
        f"again: {again}{calm} --show\n"
        f"keep: Regression(seed={plan.seed}, hours={plan.hours}, stores={plan.stores}, "
        f"faults={plan.only!r}, fault_every_s={plan.fault_every_s}, {has_storms}"
        f"showed={violation!r}, ...) "
        "in tests/sim/regressions.py\n"
    )


def _as_json(summary: Any) -> dict[str, Any]:
    return {
        "seeds": summary.seeds,
        "simulated_h": round(summary.simulated_h, 3),
        "led_h": round(summary.led_h, 3),
        "took_s": round(summary.took_s, 1),
        "hours_per_minute": round(summary.hours_per_minute, 2),
        "cpu_s_per_hour": round(summary.cpu_s_per_hour, 2),
        "digest": summary.digest,
        "unseen": list(summary.unseen),
        "counts": dict(sorted(summary.counts.items())),
        "violations": [
            {"seed": plan.seed, "stores": plan.stores, "hours": plan.hours, "what": what}
            for plan, what, _ in summary.failures
        ],
    }

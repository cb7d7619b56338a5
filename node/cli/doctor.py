"""nodectl doctor: what each single failure would do, what should be mended, does the ttl suit."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from node.cli.common import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    NodeOption,
    ProfileOption,
    look,
    open_config,
    open_secrets,
    say,
    say_json,
    wall_ms,
)
from node.cli.lazy import USAGE
from node.config import Config
from node.doctor.box_facts import BoxFacts
from node.doctor.disk_speed import judge_writes, measure_writes, render_writes
from node.doctor.examine import facts_of, list_all, longest_gaps_ms, look_at_box, look_outside
from node.doctor.findings import Finding, Level
from node.doctor.looked import render_looked
from node.doctor.losses import list_losses, topology_row
from node.doctor.outside import render_outside
from node.doctor.report import render_findings, render_losses, render_measured, render_progress
from node.doctor.samples import Advice, Measured, Round, advise, measure
from node.durations import parse_duration
from node.errors import CommandRefused
from node.secrets import Secrets
from node.store_addresses import store_addresses

app = typer.Typer(add_completion=False)
SHORTEST_S, LONGEST_S = 5.0, 6 * 3600.0
BOARD_EVERY_S = 5  # looks at the member board while measuring; the nodes remember a minute
MeasureOption = Annotated[
    str | None,
    typer.Option("--measure", "-m", help="Ask the stores for so long (30s, 5m, 1h), then judge."),
]
FileArgument = Annotated[
    Path | None, typer.Argument(help="With --report: where to write it; else it is printed.")
]
ReportOption = Annotated[
    bool, typer.Option("--report", help="Write a page to send in, without secrets.")
]
AnonymousOption = Annotated[
    bool, typer.Option("--anonymous", help="With --report: mask names, addresses and ids too.")
]
QuickOption = Annotated[
    bool, typer.Option("--quick", "-q", help="Leave out the venue and Telegram: seconds less.")
]


@app.command()
def doctor(
    config: ConfigOption = None,
    node: NodeOption = None,
    profile: ProfileOption = None,
    measure_for: MeasureOption = None,
    file: FileArgument = None,
    *,
    report: ReportOption = False,
    anonymous: AnonymousOption = False,
    quick: QuickOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say what each single failure would do and what to mend; --measure judges the timing.

    On a box --measure also times twenty durable writes beside the journal.

    It looks at the stores, the venue (signed, reading only), Telegram (without a message), and at
    this box where it is one of the nodes'. It changes nothing.

    --report writes a page to send in: version, configuration, findings, status, takeovers, events
    and crashes, without secrets. It needs no usable configuration and no store that answers.

    Exit codes: 0 nothing to mend · 1 something to look at · 2 something to act on · 4 mend
    configuration or secrets · 64 wrong usage. With --report: 0 written · 1 not written · 64.
    """
    lasting_s = _lasting_s(measure_for)
    if report:
        _refuse_both(lasting_s, as_json=as_json)
        _report(config, node, profile, file, anonymous=anonymous, quick=quick)
        return
    if file is not None or anonymous:
        raise CommandRefused("a file and --anonymous go with --report only", exit_code=USAGE)
    settings = open_config(config, profile)
    secrets = open_secrets(settings, node)
    seen = look(settings, secrets)
    facts = facts_of(seen, settings, now_wall_ms=wall_ms())
    looks = None if quick else look_outside(settings, secrets, node)
    box = look_at_box(settings)
    findings = list_all(facts, seen, looks, box)
    row, losses = topology_row(settings), list_losses(settings)
    level = max((int(f.level) for f in findings), default=0)
    shown: dict[str, Any] = {
        "cluster": settings.cluster_id,
        "topology": dataclasses.asdict(row),
        "losses": [dataclasses.asdict(loss) for loss in losses],
        "outside": [dataclasses.asdict(node) for node in facts.nodes],
        "findings": [_plain(f) for f in findings],
    }
    if not as_json:
        say(render_losses(settings, row, losses))
        say("")
        known_here = secrets.deadman_urls()
        say(
            render_outside(settings, facts.nodes, holder=facts.status.holder, known_here=known_here)
        )
        say("")
        say(render_looked(settings, seen, looks, box))
        say("")
        say(render_findings(findings))
    if lasting_s is not None:
        poorest, text = _add_measured(shown, settings, secrets, box, lasting_s)
        level = max(level, poorest)
        if not as_json:
            say(f"\n{text}")
    if as_json:
        say_json({**shown, "exit_code": level})
    raise typer.Exit(level)


def _add_measured(
    shown: dict[str, Any], config: Config, secrets: Secrets, box: BoxFacts | None, lasting_s: float
) -> tuple[int, str]:
    """Measure, and add it to what programs are shown; return the level, and the same in words."""
    measured, advice = _measure(config, secrets, lasting_s)
    writes = None if box is None else measure_writes(config.node_state_dir(box.node_id))
    slow = () if box is None or writes is None else judge_writes(box.label, writes)
    shown |= {
        "measured": dataclasses.asdict(measured),
        "advice": dataclasses.asdict(advice),
        "writes_ms": writes,
    }
    shown["findings"] += [_plain(f) for f in slow]
    text = render_measured(measured, advice)
    if box is not None and writes is not None:
        said = render_findings(slow) if slow else "that is fast enough for the journal"
        text = f"{text}\n\n{render_writes(box.label, writes)}\n{said}"
    return max([int(_level_of(advice)), *(int(f.level) for f in slow)]), text


def _plain(finding: Finding) -> dict[str, Any]:
    return {**dataclasses.asdict(finding), "level": finding.level.name.lower()}


def _refuse_both(lasting_s: float | None, *, as_json: bool) -> None:
    if lasting_s is not None or as_json:
        raise CommandRefused(
            "--report goes with neither --measure nor --json",
            mend="run them one after the other",
            exit_code=USAGE,
        )


def _report(
    config: Path | None,
    node: str | None,
    profile: str | None,
    file: Path | None,
    *,
    anonymous: bool,
    quick: bool,
) -> None:
    from node.cli.doctor_report import (  # noqa: PLC0415  (half of the program; few need it)
        Dossier,
        build_report,
        write_report,
    )

    dossier = Dossier(
        config_path=config or DEFAULT_CONFIG,
        profile=profile,
        node=node,
        quick=quick,
    )
    text = build_report(dossier, anonymous=anonymous)
    if file is None:
        say(text)
        return
    write_report(file, text)
    say(f"{file}: written; read it before you send it")


def _lasting_s(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return parse_duration(text, at_least_s=SHORTEST_S, at_most_s=LONGEST_S)
    except ValueError as error:
        raise CommandRefused(f"--measure {error}", exit_code=USAGE) from None


def _level_of(advice: Advice) -> Level:
    if advice.is_suitable:
        return Level.GOOD
    return Level.ACT if advice.is_poor else Level.LOOK


def _measure(config: Config, secrets: Secrets, lasting_s: float) -> tuple[Measured, Advice]:
    """Ask the stores for so long, or until Ctrl-C, and judge."""
    from node.doctor.measuring import Measuring  # noqa: PLC0415  (imports redis; few need it)

    timing = config.timing()
    measuring = Measuring(
        store_addresses(config, secrets), cluster_id=config.cluster_id, timing=timing
    )
    gaps_s: list[float] = []
    looked = 0

    def tell(lasted_s: float, rounds: Sequence[Round]) -> None:
        nonlocal looked
        if lasted_s >= looked * BOARD_EVERY_S:
            looked += 1
            gaps_s.extend(
                gap_ms / 1000 for gap_ms in longest_gaps_ms(look(config, secrets)).values()
            )
            now = measure(rounds, measuring.names, timing, pace_s=measuring.pace_s)
            _say_progress(render_progress(lasted_s, lasting_s, now))

    measuring.run(lasting_s, tell=tell)
    measured = measure(measuring.rounds(), measuring.names, timing, pace_s=measuring.pace_s)
    return measured, advise(measured, timing, node_gap_s=max(gaps_s, default=None))


def _say_progress(line: str) -> None:
    """Show where it is: over the last line on a terminal, else line by line."""
    start, end = ("\r\x1b[2K", "") if sys.stderr.isatty() else ("", "\n")
    sys.stderr.write(f"{start}{line}{end}")
    sys.stderr.flush()

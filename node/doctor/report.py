"""The doctor's words: topology, single failures, findings, measurement. Pure."""

from collections.abc import Sequence
from textwrap import wrap

from node.config_model import Config
from node.doctor.findings import Finding, Level
from node.doctor.losses import Loss, Row
from node.doctor.samples import Advice, Measured, StoreFigures
from node.durations import show_duration
from node.status_render import table

WIDTH, INDENT = 96, " " * 6
MARKS = {Level.ACT: "ACT ", Level.LOOK: "look", Level.GOOD: "note"}


def render_losses(config: Config, row: Row, losses: Sequence[Loss]) -> str:
    """Return the topology row that applies and what each single failure would do."""
    lines = [
        f"cluster {config.cluster_id}, topology {config.cluster.topology}",
        f"lease store: {row.where}: {row.meaning}",
        "",
        "if this is lost, alone:",
    ]
    for loss in losses:
        lines.append(f"  {loss.what}: {_how_long(loss)}")
        lines += wrap(loss.effect, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)
    return "\n".join(lines)


def render_findings(findings: Sequence[Finding]) -> str:
    """Return what was found, worst first."""
    if not findings:
        return "nothing was found that should be mended"
    lines = []
    for finding in findings:
        told = f"{MARKS[finding.level]}  {finding.area}: {finding.what}"
        lines += wrap(told, WIDTH, subsequent_indent=INDENT)
        lines += wrap(f"→ {finding.fix}", WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)
    return "\n".join(lines)


def render_measured(measured: Measured, advice: Advice) -> str:
    """Return figures and advice of a measurement."""
    head = ("store", "asked", "lost", "median", "99 %", "worst", "jitter", "silent", "last error")
    rows = [_store_row(store) for store in measured.stores]
    lines = [
        f"measured {show_duration(round(measured.lasted_s))}: {measured.rounds} rounds",
        "",
        *table(head, rows),
        "",
        f"longest pause between two questions of this box: {measured.longest_own_gap_s:.2f} s",
        f"renewals that would have been lost: {measured.renewals_lost}",
        "",
        *advice.words,
    ]
    if advice.lines:
        lines += ["", "in cluster.toml, on both boxes:", "[lease]", *advice.lines]
    return "\n".join(lines)


def render_progress(lasted_s: float, of_s: float, measured: Measured) -> str:
    """Return one line while it measures."""
    worst = "-" if measured.worst_age_s is None else f"{measured.worst_age_s:.2f} s"
    return (
        f"{lasted_s:.0f} of {of_s:.0f} s: {measured.rounds} rounds, "
        f"{measured.renewals_lost} renewals lost, worst age {worst} (Ctrl-C ends it early)"
    )


def _how_long(loss: Loss) -> str:
    if loss.stops:
        return "TRADING STOPS"
    if not loss.about_s:
        return "trading goes on"
    return f"trading goes on after at most about {show_duration(round(loss.about_s))}"


def _store_row(store: StoreFigures) -> tuple[str, ...]:
    return (
        store.name,
        str(store.asked),
        str(store.lost),
        _ms(store.median_ms),
        _ms(store.p99_ms),
        _ms(store.worst_ms),
        _ms(store.jitter_ms),
        f"{store.longest_silence_s:.1f} s",
        store.last_error or "-",
    )


def _ms(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms"  # noqa: PLR2004  (two digits)

"""Writes docs/failover-times.md and its charts anew from measured files.

    python -m tests.bench.report FILE...

Rules of this file: what stands between the markers of the page is written here and nowhere else,
so that no figure is there that no run gave.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.chart import BOTH, MARK, STRATEGY, TAKEOVER, WAIT, phases_chart, rivals_chart
from tests.bench.figures import Failover
from tests.bench.rival_lab import Trial
from tests.bench.tables import (
    failover_bars,
    failover_table,
    phases_table,
    rival_groups,
    rival_table,
)

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "failover-times.md"
PHASES, RIVALS = DOCS / "failover-phases.svg", DOCS / "failover-rivals.svg"
END = "<!-- end -->"
CHART_TTL_S = 6


def main(paths: Sequence[str]) -> int:
    """Read the files, write page and charts."""
    lines = [json.loads(line) for path in paths for line in Path(path).read_text().splitlines()]
    runs = [Failover(**_fields(line)) for line in lines if line["kind"] == "failover"]
    trials = [Trial(**_fields(line)) for line in lines if line["kind"] == "senders"]
    PHASES.write_text(
        phases_chart(
            "From the fault to the first order of the other node (median; dots: each run)",
            failover_bars(runs),
            (
                ("until the lease is granted", WAIT),
                ("takeover", TAKEOVER),
                ("first order", STRATEGY),
                ("budget", MARK),
            ),
        )
    )
    RIVALS.write_text(
        rivals_chart(
            f"The same faults, ttl {CHART_TTL_S} s: worst run of each (1.2 s is hotspare's pace)",
            rival_groups(trials, CHART_TTL_S),
            (
                ("seconds in which nobody traded", WAIT),
                ("seconds in which two traded, and the orders of one while the other did", BOTH),
            ),
        )
    )
    parts = {
        "session": session(lines, runs, trials),
        "failovers": failover_table(runs),
        "phases": phases_table(runs),
        "rivals 6": rival_table(trials, 6),
        "rivals 3": rival_table(trials, 3),
    }
    PAGE.write_text(filled(PAGE.read_text(), parts))
    return 0


def filled(page: str, parts: Mapping[str, str]) -> str:
    """Return the page with each marked part replaced.

    Raises:
        ValueError: the page lacks a marker.
    """
    for name, text in parts.items():
        begin = f"<!-- measured: {name} -->"
        if begin not in page:
            raise ValueError(f"the page has no {begin}")
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(END)
        page = f"{before}{begin}\n{text}\n{END}{after}"
    return page


def session(
    lines: Sequence[Mapping[str, Any]], runs: Sequence[Failover], trials: Sequence[Trial]
) -> str:
    """Return in words where, when and how it was measured."""
    heads = [line for line in lines if line["kind"] == "head"]
    loads = [run.load for run in runs] + [trial.load for trial in trials]
    took_s = sum(line["took_s"] for line in lines if line["kind"] == "end")
    said = [f"- {head['date']}, commit `{head['commit']}`: `{head['command']}`" for head in heads]
    last = heads[-1]
    said += [
        f"- machine: {last['machine']}; Python {last['python']}; {last['store']} as store",
        f"- beside it: {last['redis-server'].split(' sha')[0]}, {last['keepalived']}, "
        f"redis-py {last['redis-py']}",
        f"- {len(runs)} failovers and {len(trials)} trials in {took_s / 60:.0f} minutes; load "
        f"average while measuring {min(loads):.1f} to {max(loads):.1f} (2 would be both cores "
        "busy all the time)",
    ]
    return "\n".join(said)


def _fields(line: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name != "kind"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`make bench-failover`: measure failovers of the pair and of what else a user could pick.

    python -m tests.bench.main [--runs N] [--only CASE,...] [--out FILE]

Writes one line of JSON a run to the file (and a head line with versions and the machine) and prints
it as it comes. Needs root: hosts are network namespaces of this process. `tests.bench.report` turns
the file into the table and the chart of docs/failover-times.md.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from node.demo.stores import find_server
from tests.bench.failovers import CASES, run_case
from tests.bench.rival_lab import RIVAL_VERSIONS, run_rivals
from tests.bench.same_faults import run_pair
from tests.chaos.lab_space import why_not

RUNS = 10
PLUG_FACTOR = 5  # fifty plug pulls for ten of everything else
RIVAL_RUNS = 3


def main(arguments: list[str]) -> int:
    """Run what was asked for; 0 when everything was measured and every judge was content."""
    parser = argparse.ArgumentParser(prog="bench-failover", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="of each case; plug: five times")
    parser.add_argument("--rival-runs", type=int, default=RIVAL_RUNS, help="of each fault")
    parser.add_argument("--only", default="", help="cases, separated by commas; rivals, pair")
    parser.add_argument("--out", type=Path, default=Path("bench-failover.jsonl"))
    options = parser.parse_args(arguments)
    known = {*CASES, "rivals", "pair"}
    unknown = set(filter(None, options.only.split(","))) - known
    if unknown:
        listed = ", ".join(sorted(known))
        parser.error(f"--only: there is no {', '.join(sorted(unknown))}; there are: {listed}")
    reason = why_not()
    if reason:
        sys.stderr.write(f"bench-failover: {reason}\n")
        return 2
    wanted = set(filter(None, options.only.split(","))) or known
    started_s = time.monotonic()
    with options.out.open("w") as file, tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        write = _writer(file)
        write(head(sys.argv))
        for kind, source in sources(wanted, Path(scratch), options.runs, options.rival_runs):
            for line in source:
                write({"kind": kind, **line})
        write({"kind": "end", "took_s": round(time.monotonic() - started_s)})
    return 0


def sources(
    wanted: set[str], scratch: Path, runs: int, rival_runs: int
) -> Iterator[tuple[str, Iterator[dict[str, Any]]]]:
    """Yield what is to be run, in the order of the report."""
    if "rivals" in wanted:
        yield "senders", (asdict(line) for line in run_rivals(scratch / "rivals", rival_runs))
    if "pair" in wanted:
        yield "senders", (asdict(line) for line in run_pair(scratch / "pair", rival_runs))
    for name, case in CASES.items():
        if name in wanted:
            count = runs * PLUG_FACTOR if name == "plug" else runs
            yield "failover", (asdict(line) for line in run_case(case, scratch / "cases", count))


def head(command: list[str]) -> dict[str, Any]:
    """Return what a reader must know to judge the figures."""
    return {
        "kind": "head",
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "command": " ".join(["python -m tests.bench.main", *command[1:]]),
        "commit": _said("git", "describe", "--always", "--dirty", "--exclude", "*"),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}",
        "python": platform.python_version(),
        "store": _said(str(find_server().path), "--version").split(" sha")[0],
        "redis-py": importlib.metadata.version("redis"),
        "load": os.getloadavg()[0],
        **{name: _said(*command).splitlines()[0] for name, command in RIVAL_VERSIONS.items()},
    }


def _said(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return "not installed"
    return (done.stdout or done.stderr).strip() or "unknown"


def _writer(file: Any) -> Callable[[dict[str, Any]], None]:
    def write(line: dict[str, Any]) -> None:
        text = json.dumps(line)
        for target in (file, sys.stdout):
            target.write(text + "\n")
            target.flush()

    return write


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

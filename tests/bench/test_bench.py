"""The benchmark measures: one failover and one trial of the others, with a person's eye for sense.

No figure is checked against a budget here: that is for a quiet machine and `make bench-failover`.
"""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.bench import report
from tests.bench.failovers import CASES, run_case
from tests.bench.figures import Failover
from tests.bench.rival_lab import SYSTEMS, Trial, run_rivals
from tests.bench.same_faults import run_pair
from tests.chaos.lab_clock import why_no_clocks
from tests.chaos.lab_space import why_not

pytestmark = [pytest.mark.bench, pytest.mark.chaos, pytest.mark.timeout(400)]

PROGRAMS = ("keepalived", "redis-sentinel", "redis-server", "redis-cli")


@pytest.fixture(autouse=True)
def _bench_here() -> None:
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    reason = why_not() or why_no_clocks() or (f"not installed: {missing}" if missing else "")
    if reason:
        pytest.skip(reason)


@pytest.mark.parametrize("name", ["crash-hook", "plug-ttl-3"])
def test_failover_is_taken_apart_in_the_right_order(tmp_path: Path, name: str) -> None:
    """Phases follow each other; a plug pull costs the ttl, a crash with the stop hook does not."""
    (found,) = run_case(CASES[name], tmp_path, 1)
    assert found.last_old_ms is not None
    assert found.last_old_ms < found.granted_ms <= found.active_ms <= found.first_order_ms
    assert found.told_ms is not None
    assert found.told_ms >= found.granted_ms
    if name == "crash-hook":
        assert found.silent_since_ms is None
    else:
        assert found.silent_since_ms is not None
        assert found.granted_ms - found.silent_since_ms >= 3000


def test_the_others_take_over_too_and_the_page_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each system goes on after a power cut; what was measured makes a page."""
    others = list(run_rivals(tmp_path / "rivals", 1, faults=["plug"], ttls_s=[3]))
    assert [t.system for t in others] == list(SYSTEMS)
    assert all(t.is_over for t in others), others
    mine = list(run_pair(tmp_path / "pair", 1, faults=["cut"], ttls_s=[3]))
    assert [(t.both_ms, t.doubled, t.is_over) for t in mine] == [(0, 0, True)]
    write_page(tmp_path, [*others, *mine], monkeypatch)


def write_page(tmp_path: Path, trials: list[Trial], monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the page into a directory of the test, from what was measured."""
    names = ("python", "store", "redis-py", "redis-server", "keepalived", "machine")
    head = {"date": "today", "commit": "c", "command": "make", **dict.fromkeys(names, "x")}
    run = Failover(
        case="plug",
        run=0,
        old="jetson",
        new="raspberrypi",
        load=0.1,
        last_old_ms=-20,
        silent_since_ms=-100,
        granted_ms=6000,
        active_ms=6100,
        first_order_ms=7121,
        told_ms=6120,
    )
    lines = [
        {"kind": "head", **head},
        *({"kind": "senders", **asdict(t)} for t in trials),
        {"kind": "failover", **asdict(run)},
    ]
    measured = tmp_path / "measured.jsonl"
    measured.write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = tmp_path / "page.md"
    page.write_text(report.PAGE.read_text())
    for name, path in (("PAGE", page), ("PHASES", tmp_path / "p.svg"), ("RIVALS", tmp_path / "r")):
        monkeypatch.setattr(report, name, path)
    assert report.main([str(measured)]) == 0
    text = page.read_text()
    assert "| 7.12 | MISS |" in text, "a millisecond late is late"
    assert "keepalived" in text
    assert (tmp_path / "p.svg").read_text().startswith("<svg")

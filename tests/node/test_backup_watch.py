"""A person hears once that backups fail or do not happen, and once that they are good again."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from alerts.model import Kind
from node.backup.note import (
    BACKUPS_VARIABLE,
    LATE_MS,
    BackupNote,
    read_note,
    why_bad,
    write_note,
)
from node.backup_watch import LOOK_S, BackupWatch
from node.durations import show_duration
from node.logs import LogHandle
from node.parts import NodeParts
from node.real_edges import RealEdges
from node.secrets import Secrets
from node.teller import Teller
from tests.support.status_cases import make_config
from tests.support.trading_rig import Ear

NOW_MS = 1_800_000_000_000


@pytest.mark.parametrize(
    ("note", "said"),
    [
        (None, ""),
        (BackupNote(good_ms=NOW_MS - LATE_MS, tried_ms=NOW_MS), ""),
        (BackupNote(good_ms=NOW_MS - LATE_MS - 1, tried_ms=NOW_MS), "3 days old"),
        (BackupNote(good_ms=NOW_MS, tried_ms=NOW_MS, problem="no space"), "no space"),
        (BackupNote(good_ms=NOW_MS + LATE_MS * 9, tried_ms=NOW_MS), ""),
        (BackupNote(good_ms=NOW_MS - LATE_MS, tried_ms=0), ""),
        (BackupNote(good_ms=NOW_MS - LATE_MS - 1, tried_ms=0), "made none in 3 days"),
    ],
)
def test_what_is_bad(note: BackupNote | None, said: str) -> None:
    found = why_bad(note, now_ms=NOW_MS)
    assert said in found
    assert bool(said) is bool(found)


def test_the_note_keeps_when_the_last_good_one_was(tmp_path: Path) -> None:
    assert read_note(tmp_path) is None
    write_note(tmp_path, now_ms=5, problem="")
    write_note(tmp_path, now_ms=9, problem="no space")
    assert read_note(tmp_path) == BackupNote(good_ms=5, tried_ms=9, problem="no space")
    (tmp_path / "backups.json").write_text("{")
    assert read_note(tmp_path) is None
    write_note(tmp_path / "gone", now_ms=9, problem="")  # a disk that refuses raises nothing


async def test_each_change_is_told_once() -> None:
    health = SimpleNamespace(backup_trouble="")
    ear, notes = Ear(), [BackupNote(good_ms=NOW_MS, tried_ms=NOW_MS)]
    now_s = [1000.0]
    parts = SimpleNamespace(
        load_backup_note=lambda: notes[-1],
        health=health,
        teller=Teller(ear, cluster="c", node_id="jetson", epoch=lambda: 1),
        wall_ms=lambda: NOW_MS + int(now_s[0]),
    )
    watch = BackupWatch(cast("NodeParts", parts))

    async def look(note: BackupNote) -> list[Kind]:
        notes.append(note)
        before = len(ear.events)
        for _ in range(2):
            now_s[0] += LOOK_S
            await watch.step(now_s[0])
        return [e.kind for e in ear.events[before:]]

    bad = BackupNote(good_ms=NOW_MS, tried_ms=NOW_MS, problem="no space")
    assert await look(notes[0]) == []
    assert await look(bad) == [Kind.DEGRADED]
    assert "no space" in health.backup_trouble
    assert await look(BackupNote(good_ms=0, tried_ms=NOW_MS, problem="another")) == []
    assert await look(notes[0]) == [Kind.RECOVERED]
    assert ear.events[-1].facts["lasted"] == show_duration(round(4 * LOOK_S))
    assert health.backup_trouble == ""


@pytest.mark.parametrize("has_timer", [True, False])
def test_a_timer_that_never_ran_is_awaited(tmp_path: Path, *, has_timer: bool) -> None:
    """Only on a box whose unit says that it has one; what was noted counts before that."""
    edges = RealEdges(
        make_config(tmp_path),
        Secrets(),
        node_id="jetson",
        environ={BACKUPS_VARIABLE: "1"} if has_timer else {},
        state_dir=tmp_path,
        log=cast("LogHandle", None),
    )
    awaited = edges.load_backup_note()
    assert (awaited is not None) is has_timer
    if awaited is not None:
        assert why_bad(awaited, now_ms=awaited.good_ms) == ""
        assert "made none" in why_bad(awaited, now_ms=awaited.good_ms + LATE_MS + 1)
    write_note(tmp_path, now_ms=5, problem="")
    assert edges.load_backup_note() == BackupNote(good_ms=5, tried_ms=5)

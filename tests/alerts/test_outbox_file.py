"""The outbox on disk: whatever happens to the process or the file, what was taken in is there."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from alerts.changes import RowInput
from alerts.durable import COMPACT_SLACK_LINES, DurableOutbox
from alerts.outbox import Outbox
from alerts.pace import Due
from alerts.render import short_id
from tests.alerts.builders import WALL_MS, build_event

REPOSITORY = Path(__file__).parents[2]


def ids(outbox: DurableOutbox) -> list[str]:
    return [row.event.event_id for row in outbox.rows]


def test_outbox_after_reopening_is_the_same(tmp_path: Path) -> None:
    """Rows, counts, states, remembered ids, moved address and drops survive a restart."""
    path = tmp_path / "state" / "outbox.jsonl"
    outbox = DurableOutbox(path)
    for number in range(3):
        outbox.put(build_event(f"e{number}", facts={"ä": "€ \n x"}))
    outbox.put(build_event("k1", collapse_key="k"))
    outbox.put(build_event("k2", collapse_key="k"))
    outbox.step(1, RowInput.START)
    outbox.step(1, RowInput.DELIVERED)
    outbox.step(2, RowInput.START)
    outbox.reroute("-1", "-100")
    outbox.close()
    again = DurableOutbox(path)
    assert (ids(again), again.warning, again.problem) == (["e1", "e2", "k2"], "", "")
    assert [row.is_possibly_sent for row in again.rows] == [True, False, False]
    assert [row.count for row in again.rows] == [1, 1, 2]
    assert again.address_for("-1") == "-100"
    assert not again.put(build_event("e0"))
    assert again.rows[0].event.facts == {"ä": "€ \n x"}
    assert path.stat().st_mode & 0o777 == 0o600


def test_file_cut_at_any_byte_opens_with_what_was_whole(tmp_path: Path) -> None:
    """A power cut may cut the last line anywhere; whole lines before it live, and the next
    event can be written and read again."""
    source = tmp_path / "whole"
    outbox = DurableOutbox(source)
    for number in range(4):
        outbox.put(build_event(f"e{number}"))
    outbox.close()
    content = source.read_bytes()
    for size in range(len(content) + 1):
        path = tmp_path / f"cut-{size}"
        path.write_bytes(content[:size])
        whole = max(0, content[:size].count(b"\n") - 1)
        cut = DurableOutbox(path)
        assert (ids(cut), cut.warning) == ([f"e{n}" for n in range(whole)], ""), size
        cut.put(build_event("new"))
        cut.close()
        again = DurableOutbox(path)
        assert ids(again) == [*(f"e{n}" for n in range(whole)), "new"], size
        again.close()


@pytest.mark.parametrize(
    "damage",
    [b"\0" * 40, b"\xff\xfe broken", b'{"type":"added","number":1}', b"[]"],
    ids=["a block of zeros", "bytes that are no text", "a record without its event", "a list"],
)
def test_damaged_line_in_the_middle_is_set_aside(tmp_path: Path, damage: bytes) -> None:
    """A damaged file is kept under another name, said so, and its whole lines live on."""
    path = tmp_path / "outbox.jsonl"
    outbox = DurableOutbox(path)
    for number in range(3):
        outbox.put(build_event(f"e{number}"))
    outbox.close()
    lines = path.read_bytes().split(b"\n")
    lines[2] = damage
    path.write_bytes(b"\n".join(lines))
    damaged = path.read_bytes()
    again = DurableOutbox(path)
    assert ids(again) == ["e0", "e2"]
    assert "damaged" in again.warning
    assert (tmp_path / "outbox.jsonl.damaged-1").read_bytes() == damaged
    again.close()
    assert DurableOutbox(path).warning == ""


def test_file_of_another_version_is_set_aside(tmp_path: Path) -> None:
    """A file that this version cannot know is not rewritten without a copy."""
    path = tmp_path / "outbox.jsonl"
    path.write_text('{"type":"outbox","v":99}\n{"type":"future"}\n', encoding="ascii")
    outbox = DurableOutbox(path)
    assert outbox.warning
    assert ids(outbox) == []
    assert (tmp_path / "outbox.jsonl.damaged-1").exists()


def test_record_that_does_not_fit_is_skipped_and_said(tmp_path: Path) -> None:
    """With a line lost, a later one may make no sense: it is skipped, the rest is used."""
    path = tmp_path / "outbox.jsonl"
    outbox = DurableOutbox(path)
    outbox.put(build_event("a"))
    outbox.step(1, RowInput.START)
    outbox.step(1, RowInput.NOT_SENT)
    outbox.close()
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join(line for line in lines if b'"start"' not in line))
    again = DurableOutbox(path)
    assert ids(again) == ["a"]
    assert "did not fit" in again.warning


def test_file_that_cannot_be_read_is_kept_when_writing_works_again(tmp_path: Path) -> None:
    """Alerts live in memory while the file is unreadable; mending never destroys what is there."""
    path = tmp_path / "outbox.jsonl"
    path.mkdir()  # unreadable for anybody, root included
    outbox = DurableOutbox(path)
    assert "memory only" in outbox.problem
    outbox.put(build_event("a"))
    assert ids(outbox) == ["a"]
    path.rmdir()
    path.write_bytes(b"what could not be read\n")  # as when a mount comes back
    outbox.put(build_event("b"))
    assert outbox.problem == ""
    assert "set aside" in outbox.warning
    assert (tmp_path / "outbox.jsonl.damaged-1").read_bytes() == b"what could not be read\n"
    outbox.close()
    assert ids(DurableOutbox(path)) == ["a", "b"]


def test_long_history_is_compacted(tmp_path: Path) -> None:
    """The file does not grow with every message ever sent."""
    path = tmp_path / "outbox.jsonl"
    outbox = DurableOutbox(path)
    outbox.put(build_event("stays"))
    size = 0
    for number in range(2, 2 + COMPACT_SLACK_LINES):
        outbox.put(build_event(f"e{number}"))
        outbox.step(number, RowInput.START)
        outbox.step(number, RowInput.DELIVERED)
        size = max(size, path.stat().st_size)
    assert len(path.read_bytes().splitlines()) <= COMPACT_SLACK_LINES + 50
    outbox.close()
    again = DurableOutbox(path)
    assert ids(again) == ["stays"]
    assert not again.put(build_event("e500"))


FULL_DISK = """
import json, resource, sys
from pathlib import Path
from alerts.durable import DurableOutbox
from tests.alerts.builders import build_event
path = Path(sys.argv[1])
outbox = DurableOutbox(path)
outbox.put(build_event("before"))
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 100, hard))
outbox.put(build_event("during"))
full = {"ids": [r.event.event_id for r in outbox.rows], "problem": outbox.problem,
        "on_disk": [r.event.event_id for r in DurableOutbox(path).rows]}
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
outbox.put(build_event("after"))
inode = path.stat().st_ino
outbox.put(build_event("last"))
print(json.dumps(full | {"healed": outbox.problem, "appends": path.stat().st_ino == inode,
      "later": [r.event.event_id for r in DurableOutbox(path).rows]}))
"""


def test_full_disk_keeps_alerts_in_memory_and_writes_them_later(tmp_path: Path) -> None:
    """A disk that takes no more loses nothing that was on it; new alerts wait in memory, the
    problem is said, and all is written when there is room again."""
    path = tmp_path / "outbox.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["ids"] == ["before", "during"]
    assert "memory only" in seen["problem"]
    assert seen["on_disk"] == ["before"]
    assert (seen["healed"], seen["later"]) == ("", ["before", "during", "after", "last"])
    assert seen["appends"], "once healed, the file is appended to and not written anew"


WRITER = """
import sys
from pathlib import Path
from alerts.changes import RowInput
from alerts.durable import DurableOutbox
from alerts.outbox import Outbox
from tests.alerts.builders import build_event
outbox = DurableOutbox(Path(sys.argv[1]), Outbox(rows_max=200_000, ids_max=200_000))
start = int(sys.argv[2])
for number in range(start, start + 100_000):
    outbox.put(build_event(f"e{number}"))
    print(f"put e{number}", flush=True)
    row = outbox.rows[0]
    if number % 3 == 0:
        outbox.step(row.number, RowInput.START)
        outbox.step(row.number, RowInput.DELIVERED)
        print(f"told {row.event.event_id}", flush=True)
"""


def test_writer_killed_at_any_point_loses_nothing(tmp_path: Path) -> None:
    """What `put` returned from survives SIGKILL; what was told is not told again."""
    path = tmp_path / "outbox.jsonl"
    put: set[str] = set()
    told: set[str] = set()
    for round_number in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(round_number * 100_000)],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        for _ in range(60 + 31 * round_number):
            line = process.stdout.readline()
            assert line, "the writer ended by itself"
            word, event_id = line.split()
            (put if word == "put" else told).add(event_id)
        process.send_signal(signal.SIGKILL)
        for line in process.stdout.read().splitlines():
            if len(line.split()) == 2:
                word, event_id = line.split()
                (put if word == "put" else told).add(event_id)
        process.wait(timeout=30)
        process.stdout.close()
        outbox = DurableOutbox(path, Outbox(rows_max=200_000, ids_max=200_000))
        waiting = set(ids(outbox))
        outbox.close()
        # The last attempt may have been told without being announced to us.
        assert len(put - told - waiting) <= 1
        assert not told & waiting
        told |= put - waiting


def test_leftover_of_a_broken_rewrite_is_harmless(tmp_path: Path) -> None:
    """A kill during compaction leaves the old file whole and a temporary one to be replaced."""
    path = tmp_path / "outbox.jsonl"
    outbox = DurableOutbox(path)
    outbox.put(build_event("a"))
    outbox.close()
    (tmp_path / "outbox.jsonl.new").write_bytes(b"half a li")
    again = DurableOutbox(path)
    again.put(build_event("b"))
    assert ids(again) == ["a", "b"]
    again.close()


def test_plan_drops_old_info_on_disk_too(tmp_path: Path) -> None:
    """A drop is written like any other change."""
    from alerts.model import Kind, Verdict  # noqa: PLC0415 - used by this case alone

    path = tmp_path / "outbox.jsonl"
    outbox = DurableOutbox(path)
    outbox.put(build_event("i", Kind.STARTUP, verdict=Verdict.NOTHING_TO_DO))
    outbox.plan_next(wall_ms=WALL_MS + 2 * 86_400_000, plan=lambda rows: Due(wait_s=len(rows)))
    outbox.close()
    again = DurableOutbox(path)
    assert (ids(again), again.summary.dropped) == ([], 1)


def test_short_id_is_the_same_after_a_restart() -> None:
    """A repeat after a restart carries the mark of the first telling."""
    script = "from alerts.render import short_id; print(short_id('failover:7'))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == short_id("failover:7")

"""What the lease keeps in the state directory: epoch, claim, fence note."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from election.epoch_file import DiskEpochFile
from election.errors import EpochFileUnusable, IdentityRefused
from election.fence_note import FILE_NAME, FenceNote, previous_end
from election.state_lock import StateClaim


def boot_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


# --- epoch --------------------------------------------------------------------------------------


def test_epoch_survives_a_new_reader(tmp_path: Path) -> None:
    """R7: the epoch is on disk before it is asked for."""
    DiskEpochFile(tmp_path / "epoch").store(41)
    reader = DiskEpochFile(tmp_path / "epoch")
    assert reader.load() == 41
    assert reader.warning == ""


def test_absent_epoch_is_zero(tmp_path: Path) -> None:
    """A first start has no file and no warning."""
    file = DiskEpochFile(tmp_path / "epoch")
    assert file.load() == 0
    assert file.warning == ""


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty after a power cut"),
        pytest.param(b"epoch 12", id="cut before the newline"),
        pytest.param(b"\x00" * 64, id="zeros, as a card may leave them"),
        pytest.param(b"epoch -3\n", id="negative"),
        pytest.param(b"epoch 1\nepoch 2\n", id="two lines"),
    ],
)
def test_damaged_epoch_counts_as_absent_with_a_warning(tmp_path: Path, content: bytes) -> None:
    """A damaged file must not stop the node, nor pass unsaid."""
    path = tmp_path / "epoch"
    path.write_bytes(content)
    file = DiskEpochFile(path)
    assert file.load() == 0
    assert str(path) in file.warning


def test_epoch_never_falls(tmp_path: Path) -> None:
    """Storing a lower epoch leaves the higher one."""
    file = DiskEpochFile(tmp_path / "epoch")
    file.store(9)
    file.store(4)
    assert DiskEpochFile(tmp_path / "epoch").load() == 9


def test_damage_at_run_time_does_not_lower_the_epoch(tmp_path: Path) -> None:
    """Damaged later, the process still knows what it stored."""
    file = DiskEpochFile(tmp_path / "epoch")
    file.store(9)
    (tmp_path / "epoch").write_bytes(b"rubbish")
    assert file.load() == 9
    assert file.warning


def test_epoch_that_cannot_be_stored_is_an_error(tmp_path: Path) -> None:
    """Scenario 41: no directory, no epoch, not eligible."""
    with pytest.raises(EpochFileUnusable):
        DiskEpochFile(tmp_path / "gone" / "epoch").store(1)


def test_epoch_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """A file that exists and cannot be read is not an absent one."""
    (tmp_path / "epoch").mkdir()
    with pytest.raises(EpochFileUnusable):
        DiskEpochFile(tmp_path / "epoch").load()


# --- claim --------------------------------------------------------------------------------------


def test_second_claim_is_refused_and_names_the_owner(tmp_path: Path) -> None:
    """R1: one living process a state directory."""
    with (
        StateClaim(tmp_path),
        pytest.raises(IdentityRefused, match=str(os.getpid())),
    ):
        StateClaim(tmp_path)


def test_a_directory_that_cannot_be_written_is_refused_with_what_mends_it(tmp_path: Path) -> None:
    """Also when the disk takes an empty file, but nothing in it."""
    full = tmp_path / "full"
    full.mkdir()
    (full / "claim").symlink_to("/dev/full")
    for state_dir in (tmp_path / "missing", full):
        with pytest.raises(IdentityRefused, match="cannot be written") as refused:
            StateClaim(state_dir)
        assert str(state_dir) in str(refused.value)
        assert "free space" in str(refused.value)


def test_a_stop_hook_claims_on_a_full_disk_too(tmp_path: Path) -> None:
    """It writes nothing; what it proves is the same: nobody lives."""
    (tmp_path / "claim").symlink_to("/dev/full")
    with StateClaim(tmp_path, notes_owner=False), pytest.raises(IdentityRefused, match="in use"):
        StateClaim(tmp_path, notes_owner=False)


def test_claim_is_free_after_its_owner_is_killed(tmp_path: Path) -> None:
    """The kernel drops the claim however the process ends."""
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from election.state_lock import StateClaim\n"
        "claim = StateClaim(Path(sys.argv[1]))\n"
        "print('ready', flush=True)\n"
        "time.sleep(120)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        with pytest.raises(IdentityRefused, match=str(child.pid)):
            StateClaim(tmp_path)
    finally:
        child.kill()
        child.wait(60)
        if child.stdout is not None:
            child.stdout.close()
    StateClaim(tmp_path).close()


def test_claim_needs_a_directory(tmp_path: Path) -> None:
    """A directory that is not there cannot be claimed."""
    with pytest.raises(IdentityRefused):
        StateClaim(tmp_path / "gone")


# --- fence note ---------------------------------------------------------------------------------


def test_no_note_means_a_clean_end(tmp_path: Path) -> None:
    """A first start, and a start after a clean stop, have nothing to explain."""
    assert previous_end(tmp_path) == ""
    note = FenceNote(tmp_path)
    note.armed(3, boot_s() + 5)
    note.remove()
    assert previous_end(tmp_path) == ""


def test_kill_by_the_fence_names_the_last_step(tmp_path: Path) -> None:
    """After a kill by the fence the next start says in words what froze."""
    note = FenceNote(tmp_path)
    note.progress("read candles BTC/USDT", boot_s() - 9)
    note.armed(3, boot_s() - 0.5)
    words = previous_end(tmp_path)
    assert "kernel fence" in words
    assert "read candles BTC/USDT" in words
    assert "epoch 3" in words
    assert "8.5 s" in words


def test_end_before_the_instant_is_not_blamed_on_the_fence(tmp_path: Path) -> None:
    """A process killed otherwise is reported as such."""
    note = FenceNote(tmp_path)
    note.armed(3, boot_s() + 60)
    note.progress("decision", boot_s())
    words = previous_end(tmp_path)
    assert "decision" in words
    assert "kernel fence" not in words


def test_note_of_another_boot_says_that_the_machine_went_down(tmp_path: Path) -> None:
    """CLOCK_BOOTTIME of another boot means nothing here."""
    FenceNote(tmp_path).armed(3, boot_s() - 1)
    path = tmp_path / FILE_NAME
    fields = json.loads(path.read_text())
    fields["boot_id"] = "another"
    path.write_text(json.dumps(fields))
    assert "machine went down" in previous_end(tmp_path)


def test_unreadable_note_is_said_to_be_so(tmp_path: Path) -> None:
    """Rubbish is not silence."""
    (tmp_path / FILE_NAME).write_text("{")
    assert previous_end(tmp_path)


def test_long_labels_do_not_break_the_note(tmp_path: Path) -> None:
    """The note has a fixed size; a label of any length and alphabet fits."""
    note = FenceNote(tmp_path)
    note.progress("Ж😀" * 5000, boot_s())
    note.armed(3, boot_s() - 1)
    assert "kernel fence" in previous_end(tmp_path)


def test_note_that_cannot_be_written_disturbs_nobody(tmp_path: Path) -> None:
    """A full or missing disk costs the explanation, not the lease."""
    note = FenceNote(tmp_path / "gone")
    note.armed(3, boot_s())
    note.progress("step", boot_s())
    note.remove()

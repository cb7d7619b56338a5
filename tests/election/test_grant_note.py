"""What a dead process leaves for its stop hook: of this boot, of this directory, never guessed."""

import json
import shutil
from pathlib import Path

import pytest

from election import grant_note
from election.address import StoreAddress
from election.grant_note import FILE_NAME, GrantNote, read_grant
from election.model import Incarnation, StoreName
from tests.support.redis_servers import identity_of

INCS = {StoreName("pi"): Incarnation("aa:bb")}


def new_note(state_dir: Path, nonce: str = "n1") -> GrantNote:
    address = StoreAddress(
        name=StoreName("pi"), host="10.0.0.2", port=6379, username="node", password="hunter2222"
    )
    return GrantNote(
        state_dir,
        identity=identity_of("c", nonce=nonce),
        addresses=[address],
        facts={"window_ms": 1500},
    )


def held(state_dir: Path, epoch: int = 7) -> GrantNote:
    note = new_note(state_dir)
    note.held(epoch, INCS)
    assert note.wait_written(20)
    return note


def test_what_was_held_is_read_back(tmp_path: Path) -> None:
    """Identity, epoch, incarnations and where the stores are: all that a release needs."""
    held(tmp_path)
    left = read_grant(tmp_path)
    assert left is not None
    assert left.epoch == 7
    assert left.identity.nonce == "n1"
    assert left.incs == INCS
    assert [(a.name, a.host, a.port, a.username) for a in left.addresses] == [
        ("pi", "10.0.0.2", 6379, "node")
    ]
    assert left.facts == {"window_ms": 1500}
    assert left.why_void(tmp_path) == ""


def test_the_list_that_a_store_is_kept_under_is_read_back(tmp_path: Path) -> None:
    """Released under another list's id, a dead joint holder's lease would stand for a ttl (R16)."""
    addresses = [
        StoreAddress(name=StoreName("pi"), host="10.0.0.2", port=6379, old_list="c-old"),
        StoreAddress(name=StoreName("witness"), host="10.0.0.3", port=6379),
    ]
    note = GrantNote(tmp_path, identity=identity_of("c"), addresses=addresses, facts={})
    note.held(7, INCS)
    assert note.wait_written(20)
    left = read_grant(tmp_path)
    assert left is not None
    assert left.addresses == tuple(addresses)


def test_a_note_of_an_older_release_has_no_list_that_is_left(tmp_path: Path) -> None:
    """An update restarts the node: the next start reads what the release before wrote."""
    held(tmp_path)
    note = json.loads((tmp_path / FILE_NAME).read_text())
    for store in note["stores"]:
        del store["old_list"]
    (tmp_path / FILE_NAME).write_text(json.dumps(note))
    left = read_grant(tmp_path)
    assert left is not None
    assert [a.old_list for a in left.addresses] == [""]


def test_a_password_is_never_in_the_note(tmp_path: Path) -> None:
    """Secrets never reach a file of ours."""
    held(tmp_path)
    assert "hunter2222" not in (tmp_path / FILE_NAME).read_text()
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o077 == 0


def test_the_newest_word_stays(tmp_path: Path) -> None:
    """A later epoch replaces an earlier one; an orderly end removes the note."""
    note = held(tmp_path)
    note.held(8, INCS)
    assert note.wait_written(20)
    left = read_grant(tmp_path)
    assert left is not None
    assert left.epoch == 8
    note.ended()
    assert note.wait_written(20)
    assert read_grant(tmp_path) is None


def test_a_copied_directory_has_no_grant(tmp_path: Path) -> None:
    """The stop hook of a copy must not release what the living original holds."""
    held(tmp_path)
    copy = tmp_path.parent / f"{tmp_path.name}-copy"
    shutil.copytree(tmp_path, copy)
    left = read_grant(copy)
    assert left is not None
    assert "copy" in left.why_void(copy)
    assert left.why_void(tmp_path) == ""


def test_a_note_of_another_boot_counts_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copied SD card boots elsewhere; a power cut costs a ttl anyway."""
    held(tmp_path)
    other = tmp_path / "boot_id"
    other.write_text("another boot\n")
    monkeypatch.setattr(grant_note, "BOOT_ID", other)
    left = read_grant(tmp_path)
    assert left is not None
    assert "another boot" in left.why_void(tmp_path)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"v": 99}', '{"v": 1}', "null"])
def test_a_damaged_note_is_none(tmp_path: Path, damage: str) -> None:
    """What cannot be read releases nothing: the lease runs out by itself."""
    (tmp_path / FILE_NAME).write_text(damage)
    assert read_grant(tmp_path) is None


def test_a_note_cut_anywhere_is_none_or_whole(tmp_path: Path) -> None:
    """No prefix of a note says another epoch or nonce than the whole."""
    held(tmp_path)
    text = (tmp_path / FILE_NAME).read_text()
    json.loads(text)
    for length in range(len(text)):
        (tmp_path / FILE_NAME).write_text(text[:length])
        assert read_grant(tmp_path) is None


def test_a_disk_that_refuses_costs_nothing_now(tmp_path: Path) -> None:
    """A missing note costs a ttl after a crash; it never raises into the heartbeat."""
    note = new_note(tmp_path / "missing")
    note.held(7, INCS)
    note.ended()
    assert note.wait_written(20)

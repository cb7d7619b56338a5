"""The copy on disk: durable, cut tails, damage, other formats, full disks."""

import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from exchange.errors import JournalError
from exchange.journal_file import JournalFile, parse_journal, read_journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def write_some(path: Path) -> list[dict[str, str]]:
    """Write a few changes; return the documents after each, the empty file first."""
    journal = JournalFile.open(path)
    history = [journal.documents]
    journal.append(puts={"intent:a": "{}"})
    history.append(journal.documents)
    journal.append(puts={"position:x": '{"é": "\\n"}', "intent:b": "2"}, deletes=["intent:a"])
    history.append(journal.documents)
    journal.append(puts={"intent:b": "3"})
    history.append(journal.documents)
    journal.close()
    return history


def test_what_was_appended_is_there_after_opening_again(path: Path) -> None:
    """Puts and deletes replay in order."""
    write_some(path)
    journal = JournalFile.open(path)
    assert journal.documents == {"position:x": '{"é": "\\n"}', "intent:b": "3"}
    assert journal.warnings == ()
    journal.close()


def test_a_file_cut_at_any_byte_opens_with_the_last_whole_change(path: Path) -> None:
    """Power loss while appending: every prefix of the journal replays, without a warning."""
    history = write_some(path)
    content = path.read_bytes()
    for length in range(len(content) + 1):
        path.write_bytes(content[:length])
        whole_lines = content[:length].count(b"\n")
        journal = JournalFile.open(path)
        assert journal.documents == history[max(0, whole_lines - 2)]
        assert journal.warnings == ()
        journal.append(puts={"after": "cut"})
        journal.close()
        assert read_journal(path).documents == {**history[max(0, whole_lines - 2)], "after": "cut"}
    assert not list(path.parent.glob("*.damaged*"))


def test_one_damaged_byte_anywhere_is_noticed_and_the_other_lines_are_kept(path: Path) -> None:
    """A flipped byte never becomes a wrong document; the file is set aside and a warning said."""
    write_some(path)
    content = path.read_bytes()
    for place in range(len(content)):
        damaged = content[:place] + bytes([content[place] ^ 0x41]) + content[place + 1 :]
        found = parse_journal(damaged, path)
        true_texts = {'{"é": "\\n"}', "{}", "2", "3"}
        assert set(found.documents.values()) <= true_texts
        is_whole = place == len(content) - 1  # only the last newline looks like a cut
        assert bool(found.damaged_lines) is not is_whole
    path.write_bytes(content[:60] + b"#" + content[61:])
    journal = JournalFile.open(path)
    assert len(journal.warnings) == 1
    assert (path.parent / "journal.jsonl.damaged-1").read_bytes()[60:61] == b"#"
    journal.append(puts={"more": "1"})
    journal.close()
    again = JournalFile.open(path)
    assert again.warnings == ()
    assert again.documents["more"] == "1"
    again.close()


def test_a_second_damaged_file_does_not_overwrite_the_first(path: Path) -> None:
    """Evidence is kept."""
    for _ in range(2):
        path.write_bytes(b"rubbish\n")
        JournalFile.open(path).close()
    assert len(list(path.parent.glob("*.damaged-*"))) == 2


@pytest.mark.parametrize("line", [b'{"hotspare_journal":2}', b'{"hotspare_journal":0}'], ids=repr)
def test_a_file_of_another_format_is_refused_and_left_as_it_is(path: Path, line: bytes) -> None:
    """An older or newer release's journal is never guessed at, and the text says what to do."""
    import zlib  # noqa: PLC0415  (only this case needs to forge a line)

    content = b"%08x " % zlib.crc32(line) + line + b"\n"
    path.write_bytes(content)
    with pytest.raises(JournalError, match="move the file away"):
        JournalFile.open(path)
    assert path.read_bytes() == content


def test_reading_does_not_change_the_file(path: Path) -> None:
    """The stop hook and the status command look without mending."""
    write_some(path)
    content = path.read_bytes()[:-3]
    path.write_bytes(content)
    assert read_journal(path).damaged_lines == 0
    assert path.read_bytes() == content
    assert read_journal(path.with_name("none")).documents == {}


def test_the_file_stays_bounded(path: Path) -> None:
    """Compaction: a thousand changes of one document do not grow the file beyond its bound."""
    journal = JournalFile.open(path, bytes_max=4096)
    for number in range(300):
        journal.append(puts={"intent:a": f"{number:050d}"})
        assert path.stat().st_size <= 4096
    journal.close()
    assert JournalFile.open(path).documents == {"intent:a": f"{299:050d}"}
    assert not path.with_name("journal.jsonl.new").exists()


def test_documents_beyond_the_bound_are_refused_in_words(path: Path) -> None:
    """A journal that cannot fit says so instead of filling the disk."""
    journal = JournalFile.open(path, bytes_max=1024)
    with pytest.raises(JournalError, match="bound of 1024"):
        journal.append(puts={"intent:a": "x" * 2000})
    assert journal.documents == {}
    journal.append(puts={"intent:a": "small"})
    journal.close()
    assert read_journal(path).documents == {"intent:a": "small"}


def test_replace_all_writes_only_when_something_changed(path: Path) -> None:
    """The standby's tailing copy must not wear out an SD card."""
    journal = JournalFile.open(path)
    assert journal.replace_all({"a": "1", "b": "2"})
    size = path.stat().st_size
    assert not journal.replace_all({"b": "2", "a": "1"})
    assert path.stat().st_size == size
    assert journal.replace_all({"b": "3"})
    assert journal.documents == {"b": "3"}
    journal.close()
    assert read_journal(path).documents == {"b": "3"}


def test_only_the_owner_can_read_the_file(path: Path) -> None:
    """Orders and positions are nobody else's business."""
    JournalFile.open(path).close()
    assert path.stat().st_mode & 0o077 == 0


@pytest.fixture
def small_files() -> Iterator[int]:
    """Let no file of this process grow beyond 256 KiB: what a full disk looks like to write()."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    was = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (262_144, old[1]))
    yield 262_144
    resource.setrlimit(resource.RLIMIT_FSIZE, old)
    signal.signal(signal.SIGXFSZ, was)


def test_an_append_that_does_not_fit_fails_whole_and_the_next_one_works(
    path: Path, small_files: int
) -> None:
    """Half a line on a full disk is written over, never built upon."""
    journal = JournalFile.open(path)
    journal.append(puts={"a": "1"})
    with pytest.raises(JournalError, match="cannot write the journal"):
        journal.append(puts={"b": "x" * small_files})
    assert journal.documents == {"a": "1"}
    journal.append(puts={"c": "3"})
    journal.close()
    found = read_journal(path)
    assert found.documents == {"a": "1", "c": "3"}
    assert found.damaged_lines == 0


def test_a_directory_that_does_not_exist_is_an_error_that_names_it(tmp_path: Path) -> None:
    """Each error says how to mend it."""
    with pytest.raises(JournalError, match=r"does not exist: create it"):
        JournalFile.open(tmp_path / "none" / "journal.jsonl")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_without_write_permission_is_an_error_in_words(tmp_path: Path) -> None:
    """Each error says how to mend it."""
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(JournalError, match="this user may not"):
            JournalFile.open(tmp_path / "journal.jsonl")
    finally:
        tmp_path.chmod(0o700)


def test_a_read_only_file_system_is_an_error_in_words() -> None:
    """/proc is a file system on which nobody can create a file, not even root."""
    with pytest.raises(JournalError, match="the journal /proc/journal"):
        JournalFile.open(Path("/proc/journal.jsonl"))

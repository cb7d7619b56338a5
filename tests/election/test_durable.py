"""Small files that are replaced as a whole, and survive a power cut."""

import os
import stat
from pathlib import Path

import pytest

from election.durable import write_all


def test_the_file_its_name_and_its_mode_are_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rename without a sync of the directory may be undone by a power cut."""
    synced: list[str] = []
    real = os.fsync

    def note(descriptor: int) -> None:
        is_directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        names = sorted(p.name for p in tmp_path.iterdir())
        synced.append(f"{'directory' if is_directory else 'file'} with {', '.join(names)}")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    path = tmp_path / "secret.toml"
    write_all({path: ("x = 1\n", 0o600)})
    assert synced == ["file with .secret.toml.new", "directory with secret.toml"]
    assert path.read_text() == "x = 1\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_leftover_of_a_power_cut_is_in_nobodys_way(tmp_path: Path) -> None:
    """Whatever it is: also a link that somebody else has put there is not followed."""
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (tmp_path / ".state.new").symlink_to(victim)
    write_all({tmp_path / "state": ("new", 0o600)})
    assert (tmp_path / "state").read_text() == "new"
    assert victim.read_text() == "untouched"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["state", "victim"]

"""What a box of another kind needs of the lock, worked out on this machine."""

import hashlib
from pathlib import Path

import pytest

from deploy.wheels import LOCK, Target, chosen_of, is_complete

NANO = Target(architecture="aarch64", glibc=(2, 27), python="3.11")
LOCKED = """\
a==1 \\
    --hash=sha256:{a}
b==2 ; python_full_version < '3.11.3' \\
    --hash=sha256:{b}
c==3 ; sys_platform == 'win32' \\
    --hash=sha256:{c}
d==4 ; platform_machine == 'aarch64' \\
    --hash=sha256:{d}
"""


def locked() -> str:
    return LOCKED.format(**{n: hashlib.sha256(n.encode()).hexdigest() for n in "abcd"})


def names(chosen: str) -> list[str]:
    return [line.split("==")[0] for line in chosen.splitlines() if "==" in line]


def test_conditions_are_judged_for_the_box_and_not_for_this_machine() -> None:
    """Of its Python only 3.11 is known: what any patch release may need is in."""
    assert names(chosen_of(locked(), NANO)) == ["a", "b", "d"]
    newer = Target(architecture="x86_64", glibc=(2, 41), python="3.13")
    assert names(chosen_of(locked(), newer)) == ["a"]
    assert ";" not in chosen_of(locked(), NANO)


def test_a_tag_of_a_newer_glibc_never_fits_an_older_one() -> None:
    tags = NANO.tags()
    assert tags[0] == "manylinux_2_27_aarch64"
    assert "manylinux_2_28_aarch64" not in tags
    assert "manylinux2014_aarch64" in tags


def test_a_folder_is_complete_with_one_right_file_for_each_entry(tmp_path: Path) -> None:
    chosen = chosen_of(locked(), NANO)
    for name in "ab":
        (tmp_path / f"{name}-1-py3-none-any.whl").write_bytes(name.encode())
    assert not is_complete(chosen, tmp_path)
    (tmp_path / "d-4-py3-none-any.whl").write_bytes(b"another build")
    assert not is_complete(chosen, tmp_path)
    (tmp_path / "d-4-py3-none-any.whl").write_bytes(b"d")
    assert is_complete(chosen, tmp_path)


@pytest.mark.parametrize("architecture", ["aarch64", "x86_64"])
def test_the_projects_own_lock_is_understood(architecture: str) -> None:
    target = Target(architecture=architecture, glibc=(2, 27), python="3.12")
    chosen = chosen_of(LOCK.read_text(encoding="utf-8"), target)
    assert {"ccxt", "redis", "pip", "setuptools"} <= set(names(chosen))
    assert "colorama" not in names(chosen)

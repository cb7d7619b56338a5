"""The scripts that run on a box: POSIX sh without a word from shellcheck."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "deploy" / "board").glob("*.sh"))


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.name)
def test_shellcheck_finds_nothing(path: Path) -> None:
    done = subprocess.run(
        ["shellcheck", "--shell=sh", str(path)], capture_output=True, text=True, check=False
    )
    assert done.stdout == ""


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.name)
def test_no_script_takes_a_secret_as_a_word(path: Path) -> None:
    """What is a word of a command line, everybody on the box can read."""
    text = path.read_text("utf-8").lower()
    assert "password" not in text.replace("say sudo password", "")

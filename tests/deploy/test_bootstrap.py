"""`make setup` on a machine that cannot run this: one line that helps, nothing created."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BOOTSTRAP = ROOT / "deploy" / "bootstrap.py"
REFUSED = 2

# Runs the file as `make` does, on an interpreter that says it is another one.
PRETEND = """\
import runpy, sys
{change}
sys.argv = ["bootstrap.py", {venv!r}, "requirements-dev.lock"]
runpy.run_path({file!r}, run_name="__main__")
"""


def bootstrap(venv: Path, change: str) -> subprocess.CompletedProcess[str]:
    """Run deploy/bootstrap.py after a change of what the interpreter says about itself."""
    code = PRETEND.format(change=change, venv=str(venv), file=str(BOOTSTRAP))
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("change", "help_in_it"),
    [
        ("sys.version_info = (3, 8, 10)", "PYTHON=python3.12"),
        ("sys.version_info = (3, 10, 12)", "PYTHON=python3.12"),
        ("sys.platform = 'darwin'", "use a Linux machine or VM"),
        ("sys.maxsize = 2**31 - 1", "64-bit system image"),
        ("sys.modules['ensurepip'] = None", "apt install python3-venv"),
    ],
    ids=["Python 3.8", "Python 3.10", "another system", "32-bit", "Debian without venv"],
)
def test_bootstrap_on_an_unfit_machine_says_one_line_that_helps(
    change: str, help_in_it: str, tmp_path: Path
) -> None:
    done = bootstrap(tmp_path / "venv", change)
    assert done.returncode == REFUSED
    assert help_in_it in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "venv").exists()


def test_bootstrap_parses_on_the_oldest_python_it_must_speak_to() -> None:
    """The Nano's own Python is 3.6: a syntax error would be the opposite of one line that helps."""
    ast.parse(BOOTSTRAP.read_text("ascii"), feature_version=(3, 6))

"""`make setup` on a machine that cannot run this: one line that helps, nothing created."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BOOTSTRAP = ROOT / "deploy" / "bootstrap.py"
REFUSED = 2

# Runs the file as `make` does, on an interpreter that says it is another one.
PRETEND = """\
import runpy, sys
{change}
sys.argv = ["bootstrap.py", {venv!r}, {lock!r}]
runpy.run_path({file!r}, run_name="__main__")
"""


def bootstrap(
    venv: Path, change: str, lock: str = "requirements-dev.lock"
) -> subprocess.CompletedProcess[str]:
    """Run deploy/bootstrap.py after a change of what the interpreter says about itself."""
    code = PRETEND.format(change=change, venv=str(venv), lock=lock, file=str(BOOTSTRAP))
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


@pytest.mark.parametrize(
    ("lock", "glibc", "command"),
    [
        ("requirements-dev.lock", "glibc 2.28", "`make setup`"),
        ("requirements.lock", "glibc 2.27", "`make setup-node`"),
    ],
)
def test_bootstrap_whose_installing_fails_names_glibc_and_command_of_its_lock(
    lock: str, glibc: str, command: str, tmp_path: Path
) -> None:
    """A box needs less than demo and tests do: the Nano's system image has glibc 2.27."""
    change = "import subprocess; subprocess.call = lambda command: int('pip' in command)"
    done = bootstrap(tmp_path / "venv", change, lock)
    assert done.returncode == REFUSED
    assert glibc in done.stderr
    assert command in done.stderr
    assert (ROOT / lock).exists()


def test_bootstrap_parses_on_the_oldest_python_it_must_speak_to() -> None:
    """The Nano's own Python is 3.6: a syntax error would be the opposite of one line that helps."""
    ast.parse(BOOTSTRAP.read_text("ascii"), feature_version=(3, 6))


def test_every_folder_with_code_or_scripts_is_a_package_of_the_wheel() -> None:
    """What is not named is not on a box; setuptools warns about it with a page of text."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    named = set(project["tool"]["setuptools"]["packages"])
    tops = {name.partition(".")[0] for name in named}
    found = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for top in tops
        for kind in ("*.py", "*.lua")
        for path in (ROOT / top).rglob(kind)
    }
    assert found == named

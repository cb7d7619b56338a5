"""An older release beside this one: its tree out of the history, run by this interpreter.

Rules of this file: the tree is taken with `git archive` into a directory of the caller's; the
libraries are this environment's. A node of it says another version on the member board, so that a
test can prove which code ran.
"""

import os
import subprocess
import sys
from pathlib import Path

# The last commit of the release before the lease was proven: what the first users run.
COMMIT = "d0ea336"
VERSION = f"0.0.1+{COMMIT}"
GIT_S = 60.0

_SAYS_VERSION = f'''

def program_version() -> str:
    """Say which tree this is, for the tests."""
    return "{VERSION}"
'''


class HistoryMissing(Exception):  # noqa: N818  (named by what is so)
    """The commit is not in this clone; the message says so."""


def older_tree(directory: Path) -> Path:
    """Unpack the older release below `directory` and return its root.

    Raises:
        HistoryMissing: this is a shallow clone, no clone at all, or git is not installed.
    """
    repository = Path(__file__).parents[2]
    root = directory / "older-release"
    root.mkdir()
    try:
        archive = subprocess.run(
            ["git", "-C", str(repository), "archive", COMMIT],
            capture_output=True,
            timeout=GIT_S,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", b"") or str(error).encode()
        words = said.decode(errors="replace").strip()
        raise HistoryMissing(f"commit {COMMIT} is not in this clone: {words}") from error
    subprocess.run(["tar", "-x", "-C", str(root)], input=archive, timeout=GIT_S, check=True)
    with (root / "node" / "version.py").open("a") as file:
        file.write(_SAYS_VERSION)
    return root


def environ_of(root: Path) -> dict[str, str]:
    """Return what makes a child process import the tree at `root` before anything installed."""
    return {"PYTHONPATH": str(root)}


def run_script(script: Path, *arguments: str, root: Path, text: str = "") -> str:
    """Run a script of ours on the tree at `root`; return what it printed.

    Raises:
        AssertionError: it failed; with what it said.
    """
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=GIT_S,
        cwd=root,
        env={**os.environ, **environ_of(root)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout

"""Copies of this checkout with something changed: what an owner has after `git pull`."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.deploy.home import ROOT

VERSION = ("pyproject.toml", 'version = "0.1.0"')


def checkout(folder: Path, version: str, edits: Mapping[str, tuple[str, str]]) -> Path:
    """Copy it, with another version and texts replaced (file → before, after).

    Times stay: `make` would else set the shared environment up anew, for the copy.
    """
    listed = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    file, before = VERSION
    for name, (old, new) in {file: (before, f'version = "{version}"'), **edits}.items():
        path = folder / name
        text, stat = path.read_text(encoding="utf-8"), path.stat()
        assert text.count(old) == 1, (name, old)
        path.write_text(text.replace(old, new), encoding="utf-8")
        os.utime(path, (stat.st_atime, stat.st_mtime))
    return folder

"""A self-contained Python for a box whose own is too old (the Nano's is 3.6).

It is a python-build-standalone archive, which needs glibc 2.17 and nothing else. `uv` fetches it on
the laptop and checks it against the hash it carries; or the owner names an archive
(PYTHON_ARCHIVE=), for laptops without a way to GitHub. The box gets it by its SHA-256.
"""

import os
import re
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from deploy.errors import StepFailed
from deploy.wheels import sha256_of

VERSION = "3.12"
FETCH_S = 900.0
UV = "uv"


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonArchive:
    """A .tar.gz with bin/python3.NN somewhere in it."""

    path: Path
    sha256: str
    version: str


def archive_for(architecture: str, cache: Path, *, named: str = "") -> PythonArchive:
    """Return the Python for a box, fetching it the first time.

    Raises:
        StepFailed: it cannot be had; with what to do instead.
    """
    if named:
        return _described(Path(named))
    made = cache / f"python-{VERSION}-{architecture}.tar.gz"
    if not made.exists():
        _fetch(architecture, made)
    return _described(made)


def _fetch(architecture: str, into: Path) -> None:
    uv = shutil.which(UV)
    if uv is None:
        raise StepFailed(
            "this box needs a Python brought, and `uv`, which fetches it, is not on this machine\n"
            "    → pip install uv; or name a python-build-standalone archive: PYTHON_ARCHIVE=FILE"
        )
    folder = into.with_suffix(".fetched")
    done = subprocess.run(  # noqa: S603
        [
            *(uv, "python", "install", "--install-dir", str(folder), "--no-bin"),
            f"cpython-{VERSION}-linux-{architecture}-gnu",
        ],
        capture_output=True,
        text=True,
        timeout=FETCH_S,
        check=False,
        env={**os.environ, "UV_PYTHON_DOWNLOADS": "automatic"},
    )
    if done.returncode != 0:
        raise StepFailed(
            f"uv could not fetch Python {VERSION}: {done.stderr.strip()[-400:]}\n"
            "    → is there a way to github.com? else name an archive: PYTHON_ARCHIVE=FILE"
        )
    part = into.with_suffix(".part")
    with tarfile.open(part, "w:gz") as archive:
        for child in sorted(folder.glob("cpython-*")):
            if not child.is_symlink():
                archive.add(child, "python")
    part.rename(into)
    shutil.rmtree(folder)


def _described(path: Path) -> PythonArchive:
    try:
        sha256 = sha256_of(path)
        with tarfile.open(path, "r:gz") as archive:
            found = next(
                (m for n in archive.getnames() if (m := re.search(r"bin/python(3\.1[123])$", n))),
                None,
            )
    except (OSError, tarfile.TarError) as error:
        raise StepFailed(f"{path}: is not a Python archive (.tar.gz): {error}") from error
    if found is None:
        raise StepFailed(
            f"{path}: has no bin/python3.11, 3.12 or 3.13\n    → take an `install_only` archive "
            "of python-build-standalone for the box's architecture"
        )
    return PythonArchive(path=path, sha256=sha256, version=found[1])

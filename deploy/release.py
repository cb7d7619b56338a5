"""One release: hotspare's own wheel, the locked wheels for a box, and a name for exactly these.

The name has the version and a hash of what is in it, so that "already there" is a comparison of
names and a box can say what it runs. It is built on the laptop; a box only unpacks.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from deploy.errors import StepFailed
from deploy.wheels import LOCK, ROOT, Target, fetch, sha256_of

PACKAGES = ("alerts", "election", "exchange", "node", "strategy")
SUFFIXES = {".py", ".lua", ".typed"}
LOCK_NAME = "requirements.lock"
STRATEGY_LOCK_NAME = "strategy.lock"
BUILD_S = 300.0
_EPOCH = "315619200"  # zip files know no time before 1980; always the same makes the same wheel


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What is installed on a box, and its files on this machine by the name they get there."""

    release_id: str
    files: dict[str, Path]


def release_id(target: Target, strategy_lock: Path | None) -> str:
    """Return the name of the release of this checkout for a box."""
    told = hashlib.sha256()
    project = (ROOT / "pyproject.toml").read_bytes()
    told.update(project)  # version, entry points: part of the wheel
    for path in _sources():
        told.update(f"{path.relative_to(ROOT)}\0".encode())
        told.update(path.read_bytes())
    for lock in filter(None, (LOCK, strategy_lock)):
        told.update(lock.read_bytes())
    told.update(f"{target.architecture} {target.python}".encode())
    # of this checkout; what is installed here may be from before the last pull
    version = tomllib.loads(project.decode())["project"]["version"]
    return f"{version}-{told.hexdigest()[:10]}"


def build(target: Target, strategy_lock: Path | None, cache: Path) -> Release:
    """Fetch and build everything for a box.

    Raises:
        StepFailed: a wheel is missing or could not be built.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("a") as lock:
        # two boxes may be deployed to at once, and both builds would use one folder of setuptools
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _build(target, strategy_lock, cache)


def _build(target: Target, strategy_lock: Path | None, cache: Path) -> Release:
    name = release_id(target, strategy_lock)
    folder = cache / f"{target.architecture}-{target.python}"
    fetch(target, LOCK, folder / "locked")
    wanted = {path.name: path for path in _named_by(LOCK, folder / "locked")}
    wanted[LOCK_NAME] = LOCK
    if strategy_lock is not None:
        fetch(target, strategy_lock, folder / "strategy")
        wanted |= {p.name: p for p in _named_by(strategy_lock, folder / "strategy")}
        wanted[STRATEGY_LOCK_NAME] = strategy_lock
    own = _own_wheel(cache / "own" / name)
    wanted[own.name] = own
    return Release(release_id=name, files=wanted)


def _sources() -> Iterable[Path]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*")):
            if path.suffix in SUFFIXES and "__pycache__" not in path.parts:
                yield path


def _named_by(lock: Path, folder: Path) -> list[Path]:
    """Return the wheels that the lock allows: a folder may hold those of an older lock too."""
    text = lock.read_text(encoding="utf-8")
    return [p for p in sorted(folder.glob("*.whl")) if sha256_of(p) in text]


def _own_wheel(folder: Path) -> Path:
    made = sorted(folder.glob("hotspare-*.whl"))
    if made:
        return made[0]
    # setuptools would put what an older build left there into the wheel, deleted modules too
    shutil.rmtree(ROOT / "build" / "lib", ignore_errors=True)
    command = [*(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps"), "--no-build-isolation"]
    # beside, and renamed when it is whole: nobody looks at a wheel that is there a second time
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    done = subprocess.run(  # noqa: S603
        [*command, "--disable-pip-version-check", "-w", str(part), str(ROOT)],
        capture_output=True,
        text=True,
        timeout=BUILD_S,
        check=False,
        env={**os.environ, "SOURCE_DATE_EPOCH": _EPOCH},
    )
    if done.returncode != 0:
        raise StepFailed(f"hotspare's own wheel could not be built:\n{done.stderr[-1500:]}")
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    return next(iter(folder.glob("hotspare-*.whl")))

"""Wheels for a box: fetched on the laptop, checked against the lock, for another architecture.

A box has no compiler and needs no package index: what the lock names must exist as a wheel for
its architecture and glibc. `make wheels-check` shows that it does, for the oldest
glibc of each image that hotspare supports.
"""

import hashlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker

from deploy.errors import StepFailed

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
GLIBCS = ((2, 27), (2, 31), (2, 36), (2, 41))
"""Ubuntu 18.04 (Jetson Nano), Debian 11, 12 and 13: what boxes run."""
PYTHONS = ("3.11", "3.12", "3.13")
FETCH_S = 900.0
FETCH_WORDS = 4
_OLDEST_TAG = (2, 17)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What wheels are for."""

    architecture: str
    glibc: tuple[int, int]
    python: str

    @property
    def text(self) -> str:
        """For people."""
        return f"{self.architecture}, glibc {self.glibc[0]}.{self.glibc[1]}, Python {self.python}"

    def tags(self) -> tuple[str, ...]:
        """Return the platform tags that fit, newest first (PEP 600; and the three older names)."""
        newest = self.glibc[1]
        tags = [
            f"manylinux_2_{minor}_{self.architecture}"
            for minor in range(newest, _OLDEST_TAG[1] - 1, -1)
        ]
        tags.append(f"manylinux2014_{self.architecture}")
        if self.architecture == "x86_64":
            tags += [f"manylinux2010_{self.architecture}", f"manylinux1_{self.architecture}"]
        return tuple(tags)


def fetch(target: Target, lock: Path, into: Path) -> tuple[Path, ...]:
    """Fetch what the lock names into a folder; files that are there and fit are kept.

    Raises:
        StepFailed: something has no wheel for the target, or does not have the lock's hash.
    """
    into.mkdir(parents=True, exist_ok=True)
    if is_complete(chosen_of(lock.read_text(encoding="utf-8"), target), into):
        return tuple(sorted(into.glob("*.whl")))  # no network is needed, nor asked
    with _written(target, lock) as chosen:
        done = subprocess.run(  # noqa: S603
            [*_pip("download", target, chosen), "--dest", str(into)],
            capture_output=True,
            text=True,
            timeout=FETCH_S,
            check=False,
        )
    if done.returncode != 0:
        raise StepFailed(_why(target, done.stderr))
    return tuple(sorted(into.glob("*.whl")))


def check(target: Target, lock: Path) -> str:
    """Return why the lock cannot be installed from wheels alone there; empty when it can."""
    words = ("--dry-run", "--target", "unused", "--ignore-installed")
    with _written(target, lock) as chosen:
        done = subprocess.run(  # noqa: S603
            [*_pip("install", target, chosen), *words],
            capture_output=True,
            text=True,
            timeout=FETCH_S,
            check=False,
        )
    return "" if done.returncode == 0 else _why(target, done.stderr)


def chosen_of(lock_text: str, target: Target) -> str:
    """Return the lock's entries that the target may need, without their conditions. Pure.

    pip would judge the conditions by the machine it runs on. Of a Python only "3.12" is known
    here, so what any patch release of it may need is in; pip on the box leaves the rest out.
    """
    kept = []
    for entry in re.split(r"(?m)^(?=[A-Za-z0-9])", lock_text):
        head, _, tail = entry.partition("\\")
        requirement, _, condition = head.partition(";")
        if condition.strip() and not _may_hold(Marker(condition.strip()), target):
            continue
        kept.append(f"{requirement.strip()} \\{tail}" if tail else entry)
    return "".join(kept)


def is_complete(chosen: str, folder: Path) -> bool:
    """Tell whether a folder has a file with one of the lock's hashes for each entry."""
    have = {sha256_of(path) for path in folder.glob("*.whl")}
    entries = [e for e in re.split(r"(?m)^(?=[A-Za-z0-9])", chosen) if "--hash" in e]
    return all(have & set(re.findall(r"sha256:([0-9a-f]{64})", entry)) for entry in entries)


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256 in hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _may_hold(condition: Marker, target: Target) -> bool:
    fixed = {
        "python_version": target.python,
        "platform_machine": target.architecture,
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    patches = (f"{target.python}.{patch}" for patch in (0, 99))
    return any(condition.evaluate({**fixed, "python_full_version": full}) for full in patches)


@contextmanager
def _written(target: Target, lock: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="hotspare-lock-") as folder:
        path = Path(folder) / lock.name
        path.write_text(chosen_of(lock.read_text(encoding="utf-8"), target), encoding="utf-8")
        yield path


def _pip(verb: str, target: Target, lock: Path) -> list[str]:
    platforms = [word for tag in target.tags() for word in ("--platform", tag)]
    return [
        *(sys.executable, "-m", "pip", verb, "-q", "--disable-pip-version-check"),
        *("--require-hashes", "--no-deps", "--only-binary=:all:", "-r", str(lock)),
        *("--implementation", "cp", "--python-version", target.python, *platforms),
    ]


def _why(target: Target, said: str) -> str:
    lines = [line for line in said.splitlines() if line.startswith("ERROR")]
    return f"no full set of wheels for {target.text}: {' '.join(lines) or said[-500:]}"


def targets() -> tuple[Target, ...]:
    """Return what the lock is checked for: each Python at the oldest glibc, each glibc once."""
    pairs = [(GLIBCS[0], python) for python in PYTHONS]
    pairs += [(glibc, PYTHONS[-1]) for glibc in GLIBCS[1:]]
    return tuple(
        Target(architecture="aarch64", glibc=glibc, python=python) for glibc, python in pairs
    )


def main(words: Sequence[str]) -> int:
    """`check [LOCK...]` for every supported arm64 image, or `fetch ARCHITECTURE PYTHON FOLDER`."""
    if words[:1] == ["fetch"] and len(words) == FETCH_WORDS:
        target = Target(architecture=words[1], glibc=GLIBCS[0], python=words[2])
        try:
            found = fetch(target, LOCK, Path(words[3]))
        except StepFailed as failed:
            sys.stdout.write(f"{failed}\n")
            return 1
        sys.stdout.write(f"{len(found)} wheels in {words[3]}\n")
        return 0
    if words[:1] != ["check"]:
        sys.stdout.write("usage: python -m deploy.wheels check [LOCK...] | fetch ARCH PYTHON DIR\n")
        return 64
    failures = 0
    for lock in [Path(word) for word in words[1:]] or [LOCK]:
        for target in targets():
            problem = check(target, lock)
            failures += bool(problem)
            said = problem or f"{lock.name}: every wheel for {target.text}"
            sys.stdout.write(("MISSING " if problem else "ok ") + said + "\n")
            sys.stdout.flush()
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

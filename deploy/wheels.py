"""Wheels for a box: fetched on the laptop, checked against the lock, for another architecture.

A box has no compiler and needs no package index: what the lock names must exist as a wheel for
its architecture and glibc. `python -m deploy.wheels check` shows that it does, for the oldest
glibc of each image that hotspare supports.
"""

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
_OLDEST_TAG = (2, 17)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What wheels are for."""

    architecture: str
    glibc: tuple[int, int]
    python: str

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
    return (
        f"no full set of wheels for {target.architecture}, glibc {target.glibc[0]}."
        f"{target.glibc[1]}, Python {target.python}: {' '.join(lines) or said[-500:]}"
    )


def main(words: Sequence[str]) -> int:
    """Check the lock (or the files that are named) for every supported arm64 image."""
    locks = [Path(word) for word in words] or [LOCK]
    failures = 0
    for lock in locks:
        for glibc in GLIBCS:
            for python in PYTHONS:
                target = Target(architecture="aarch64", glibc=glibc, python=python)
                problem = check(target, lock)
                failures += bool(problem)
                said = problem or (
                    f"{lock.name}: wheels for aarch64, glibc {glibc[0]}.{glibc[1]}, Python {python}"
                )
                sys.stdout.write(("MISSING " if problem else "ok ") + said + "\n")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

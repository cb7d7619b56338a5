"""Reads the box that the doctor runs on: files below `/` and a few commands, all bounded (an edge).

Rules of this file: it judges nothing (box_checks.py) and raises nothing; it needs no special
rights: what a user may not read is not known.
"""

import configparser
import contextlib
import os
import platform
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from node.doctor.box_facts import UNITS, BoxFacts, Journald, Watchdog
from node.resources import ResourceProbe, Resources

MEGABYTE = 1024 * 1024
COMMAND_S = 5.0
UNIT_PROPERTIES = (
    *("LoadState", "UnitFileState", "ActiveState", "SubState", "NRestarts", "Result"),
    "WatchdogUSec",
)
# vcgencmd get_throttled: "has occurred since boot".
THROTTLED: Mapping[int, str] = {
    16: "undervoltage",
    17: "a capped clock",
    18: "throttling",
    19: "the soft temperature limit",
}
# systemd reads them in this order; of two files with one name the later folder's counts.
JOURNALD_FOLDERS = ("usr/lib", "usr/local/lib", "run", "etc")
# A whole run of a journal is some tens of files; more would only take time.
JOURNAL_FILES_MAX = 2000

Run = Callable[[Sequence[str]], str]


def run_command(words: Sequence[str]) -> str:
    """Return what a command prints, "" when there is none, it fails or takes too long."""
    try:
        done = subprocess.run(  # noqa: S603  (fixed words)
            words, capture_output=True, text=True, check=False, timeout=COMMAND_S, errors="replace"
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout if done.returncode == 0 else ""


def read_box(
    node_id: str,
    label: str,
    state_dir: Path,
    *,
    root: Path = Path("/"),
    run: Run = run_command,
) -> BoxFacts:
    """Return what this box says of itself.

    Args:
        node_id: which node lives here.
        label: what people call it.
        state_dir: of that node.
        root: where the files are; another one in tests.
        run: runs a command.
    """
    has_systemd = (root / "run/systemd/system").is_dir()
    return BoxFacts(
        node_id=node_id,
        label=label,
        has_systemd=has_systemd,
        model=_text(root / "proc/device-tree/model").strip("\0"),
        kernel=platform.release(),
        root_kind=_kind_of(root, Path("/")),
        state_kind=_kind_of(root, _existing(state_dir)),
        has_memory_limit=_has_memory_limit(root),
        watchdogs=_watchdogs(root),
        pid1_feeds=_shown(run(("systemctl", "show", "--property=RuntimeWatchdogUSec"))).get(
            "RuntimeWatchdogUSec", ""
        )
        if has_systemd
        else "",
        journald=_journald(root) if has_systemd else None,
        units={name: _unit(name, run) for name in UNITS} if has_systemd else {},
        power_past=parse_throttled(run(("vcgencmd", "get_throttled"))),
        resources=_resources(state_dir),
    )


def parse_throttled(text: str) -> tuple[str, ...]:
    """Return in words what has occurred since the boot, from "throttled=0x50000"."""
    try:
        bits = int(text.strip().partition("=")[2], 16)
    except ValueError:
        return ()
    return tuple(words for bit, words in THROTTLED.items() if bits >> bit & 1)


def parse_mounts(text: str, place: Path) -> str:
    """Return the kind of file system on which a place lies, from /proc/self/mountinfo."""
    best, kind = -1, ""
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, rest = before.split(), after.split()
        if len(fields) < 5 or not rest:  # noqa: PLR2004  (proc(5): the fifth is the mount point)
            continue
        mount = Path(fields[4].replace("\\040", " "))
        # of two mounts at one place the later one is seen
        if (mount == place or mount in place.parents) and len(mount.parts) >= best:
            best, kind = len(mount.parts), rest[0]
    return kind


def _kind_of(root: Path, place: Path) -> str:
    return parse_mounts(_text(root / "proc/self/mountinfo"), place)


def _existing(path: Path) -> Path:
    """Return the path, or the nearest folder above it that there is."""
    path = path.absolute()
    return next((p for p in (path, *path.parents) if p.exists()), Path("/")).resolve()


def _has_memory_limit(root: Path) -> bool | None:
    controllers = _text(root / "sys/fs/cgroup/cgroup.controllers")
    if controllers:
        return "memory" in controllers.split()
    for line in _text(root / "proc/cgroups").splitlines():
        fields = line.split()
        if fields[:1] == ["memory"]:
            return fields[-1] == "1"
    return None


def _watchdogs(root: Path) -> tuple[Watchdog, ...]:
    found = []
    for folder in sorted((root / "sys/class/watchdog").glob("watchdog*")):
        timeout = _text(folder / "timeout").strip()
        found.append(
            Watchdog(
                name=folder.name,
                identity=_text(folder / "identity").strip(),
                state=_text(folder / "state").strip(),
                timeout_s=int(timeout) if timeout.isdigit() else None,
            )
        )
    if not found and (root / "dev/watchdog0").exists():
        found.append(Watchdog(name="watchdog0", identity="", state="", timeout_s=None))
    return tuple(found)


def _journald(root: Path) -> Journald:
    settings: dict[str, str] = {}
    for path in _journald_files(root):
        # systemd's files are INI, but a key may stand twice and names keep their case
        parser = configparser.RawConfigParser(strict=False, comment_prefixes=("#", ";"))
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        with contextlib.suppress(configparser.Error):
            parser.read_string(_text(path))
            settings |= dict(parser["Journal"]) if parser.has_section("Journal") else {}
    storage, kept = settings.get("Storage", ""), root / "var/log/journal"
    match storage.lower():
        case "persistent":
            is_persistent: bool | None = True
        case "volatile" | "none":
            is_persistent = False
        case _:
            is_persistent = kept.is_dir()
    return Journald(
        is_persistent=is_persistent,
        storage=storage,
        cap=settings.get("SystemMaxUse", ""),
        used_mb=_size_mb(kept),
    )


def _journald_files(root: Path) -> Iterator[Path]:
    yield root / "usr/lib/systemd/journald.conf"
    yield root / "etc/systemd/journald.conf"
    by_name: dict[str, Path] = {}
    for folder in JOURNALD_FOLDERS:
        for path in (root / folder / "systemd/journald.conf.d").glob("*.conf"):
            by_name[path.name] = path
    yield from (by_name[name] for name in sorted(by_name))


def _size_mb(folder: Path) -> float | None:
    total, seen = 0, 0
    try:
        for inside, _, names in os.walk(folder):
            for name in names:
                seen += 1
                if seen > JOURNAL_FILES_MAX:
                    return None
                total += (Path(inside) / name).lstat().st_size
    except OSError:
        return None
    return total / MEGABYTE if seen else None


def _unit(name: str, run: Run) -> Mapping[str, str]:
    wanted = ",".join(UNIT_PROPERTIES)
    return _shown(run(("systemctl", "show", name, f"--property={wanted}")))


def _shown(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def _resources(state_dir: Path) -> Resources | None:
    try:
        return ResourceProbe(_existing(state_dir)).read()
    except (OSError, psutil.Error):
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""

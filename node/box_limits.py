"""Is this box within its limits? With hysteresis, so that it does not leave and return in step.

Pure. Beyond a limit it is short at once; within again only some way below it, and only after that
has lasted: a box that cools while it does nothing would heat again as soon as it trades. Reasons
begin with the word that box_watch.py looks its cure up by.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from node.config_box import HealthConfig
from node.resources import FsyncProbe, Resources

# How long everything must be well before a limit that was passed counts as kept again: six
# readings. Halved, a board with a slow fan flaps; doubled, a spare is missing for no reason.
RECOVERY_S = 60.0
# Throttling boards swing by a few degrees; a disk is freed in whole files; memory creeps.
COOLER_BY_C = 5.0
DISK_FACTOR = 1.25
MEMORY_FACTOR = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finding:
    """One limit: why it is passed (empty: not), and what keeping it again would take."""

    short: str
    is_well: bool  # beyond the margin, not only within the limit
    until: str


@dataclass(slots=True)
class BoxLimits:
    """The limits of one box; `judge` with every reading."""

    _short: dict[str, str] = field(default_factory=dict)
    _well_since_s: dict[str, float] = field(default_factory=dict)

    def judge(
        self,
        now_s: float,
        resources: Resources,
        health: HealthConfig,
        *,
        fsync: FsyncProbe | None = None,
    ) -> tuple[str, ...]:
        """Return why this box should not hold the lease, in words; empty when it may."""
        reasons: list[str] = []
        for name, finding in _look(resources, health, fsync).items():
            if finding.short:
                self._short[name] = finding.short
                self._well_since_s.pop(name, None)
            elif name in self._short:
                self._recover(now_s, name, finding)
            if name in self._short:
                reasons.append(self._short[name])
        return tuple(reasons)

    def _recover(self, now_s: float, name: str, finding: _Finding) -> None:
        if not finding.is_well:
            self._well_since_s.pop(name, None)
        else:
            since_s = self._well_since_s.setdefault(name, now_s)
            if now_s - since_s >= RECOVERY_S:
                del self._short[name], self._well_since_s[name]
                return
        about = self._short[name].partition(":")[0]
        self._short[name] = f"{about}: recovering, {finding.until} for {RECOVERY_S:.0f} s"


def _look(
    resources: Resources, health: HealthConfig, fsync: FsyncProbe | None
) -> Mapping[str, _Finding]:
    return {
        "disk space": _disk(resources.disk_free_mb, health.min_disk_free_mb),
        "temperature": _heat(
            resources.temperature_c, resources.temperature_zone, health.max_temperature_c
        ),
        "memory": _memory(resources.memory_mb, health.max_memory_mb),
        "disk writes": _writes(fsync),
    }


def _disk(free_mb: float | None, least_mb: int) -> _Finding:
    if free_mb is None:
        return _Finding(short="disk: the state directory cannot be read", is_well=False, until="")
    enough_mb = least_mb * DISK_FACTOR
    short = f"disk: {free_mb:.0f} MB free, below {least_mb} MB" if free_mb < least_mb else ""
    return _Finding(
        short=short, is_well=free_mb >= enough_mb, until=f"{enough_mb:.0f} MB must be free"
    )


def _heat(degrees_c: float | None, zone: str, most_c: float) -> _Finding:
    cool_c = most_c - COOLER_BY_C
    until = f"it must stay below {cool_c:g} °C"
    if degrees_c is None:  # no sensor, or one that broke: never a reason by itself
        return _Finding(short="", is_well=True, until=until)
    short = f"temperature: {degrees_c:.0f} °C in {zone}, above {most_c:g} °C"
    return _Finding(
        short=short if degrees_c > most_c else "", is_well=degrees_c < cool_c, until=until
    )


def _memory(used_mb: float, most_mb: int) -> _Finding:
    little_mb = most_mb * MEMORY_FACTOR
    short = f"memory: {used_mb:.0f} MB used, above {most_mb} MB" if used_mb > most_mb else ""
    return _Finding(
        short=short, is_well=used_mb < little_mb, until=f"less than {little_mb:.0f} MB must be used"
    )


def _writes(fsync: FsyncProbe | None) -> _Finding:
    until = "it must take every write"
    if fsync is None:
        return _Finding(short="", is_well=False, until=until)
    short = f"disk: cannot be written: {fsync.error}" if fsync.took_ms is None else ""
    return _Finding(short=short, is_well=not short, until=until)

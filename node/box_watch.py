"""What this box itself has left: resources and its disk, looked at beside the trading.

Rules of this file: nothing here may hold up the work loop: a card that stalls is waited for one
second and then counts as one that does not answer (R8). What changes is told once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from alerts.model import Kind
from node.backup_watch import BackupWatch
from node.bounded import OneAtATime
from node.box_limits import BoxLimits
from node.logs import log_event
from node.parts import NodeParts
from node.resources import FsyncProbe
from node.role import has_lease

RESOURCES_S = 10.0
# A durable write wears an SD card; once in five minutes is about 300 a day.
FSYNC_PROBE_S = 300.0
# Far below the hang limit of the lease.
BLOCKING_S = 1.0
# What mends a shortage, by the word that its reason begins with (resources.py).
FIXES: Mapping[str, str] = MappingProxyType(
    {
        "disk": "free some space (df -h); if it has room, check it (dmesg), replace the SD card",
        "temperature": "cool the box: fan, air, shade; or raise health.max_temperature_c",
        "memory": "restart the node; if it grows again, look at the strategy's own lists",
    }
)


@dataclass(slots=True)
class BoxWatch:
    """Reads resources, probes the disk, remembers when the cluster traded."""

    parts: NodeParts
    _probe: OneAtATime = field(default_factory=lambda: OneAtATime(BLOCKING_S))
    _files: OneAtATime = field(default_factory=lambda: OneAtATime(BLOCKING_S))
    _resources_due_s: float = 0.0
    _fsync_due_s: float = 0.0
    _fsync: FsyncProbe | None = None
    _limits: BoxLimits = field(default_factory=BoxLimits)
    _has_told_memory: bool = False
    _has_told_journal: bool = False
    _backups: BackupWatch = field(init=False)

    def __post_init__(self) -> None:
        """Watch this box's own backups too."""
        self._backups = BackupWatch(self.parts)

    async def step(self, now_s: float) -> None:
        """Take one look, and tell what changed."""
        await self._read_resources(now_s)
        await self._watch_journal()
        await self._backups.step(now_s)

    async def remember_trading(self) -> None:
        """Note on disk that the cluster trades now, for the sentence after a power cut."""
        wall_ms = self.parts.wall_ms()
        try:
            await self._files.run(lambda: self.parts.last_trading.store_ms(wall_ms))
        except OSError as error:
            if not self._has_told_memory:
                log_event("journal.failed", reason=f"last-trading.json: {error.strerror}")
            self._has_told_memory = True
        else:
            self._has_told_memory = False

    async def last_trading_ms(self) -> int | None:
        """Return when the cluster was last known to trade, None when that cannot be read."""
        answer = await self._files.run(self.parts.last_trading.load_ms)
        return None if answer is None else answer[0]

    async def _read_resources(self, now_s: float) -> None:
        if now_s < self._resources_due_s:
            return
        self._resources_due_s = now_s + RESOURCES_S
        parts, health = self.parts, self.parts.health
        if now_s >= self._fsync_due_s:
            probed = await self._probe.run(parts.probe.probe_fsync)
            silent = FsyncProbe(took_ms=None, error=f"no answer within {BLOCKING_S:g} s")
            self._fsync = silent if probed is None else probed[0]
            # A disk that failed is asked again with each reading until it counts as good.
            is_known_bad = any(_about(r) == "disk" for r in health.resource_reasons)
            is_good = self._fsync.took_ms is not None and not is_known_bad
            self._fsync_due_s = now_s + (FSYNC_PROBE_S if is_good else RESOURCES_S)
        reading = await self._probe.run(parts.probe.read)
        if reading is not None:
            health.resources = reading[0]
        if health.resources is None:
            return
        reasons = self._limits.judge(
            now_s, health.resources, parts.config.health, fsync=self._fsync
        )
        if reasons == health.resource_reasons:
            return
        before, health.resource_reasons = health.resource_reasons, reasons
        if not reasons:
            log_event("resources.good")
            return
        log_event("resources.short", reasons=list(reasons))
        # The same reason with another figure is no news for a phone.
        if [_about(r) for r in reasons] != [_about(r) for r in before]:
            await parts.teller.tell(
                Kind.DEGRADED,
                f"resources:{parts.wall_ms()}",
                {
                    "what": reasons[0],
                    "also": "; ".join(reasons[1:]),
                    "meaning": "this node does not contend for the lease",
                    "fix": FIXES[_about(reasons[0])],
                },
            )

    async def _watch_journal(self) -> None:
        parts, error = self.parts, self.parts.health.journal_error
        was_told, self._has_told_journal = self._has_told_journal, bool(error)
        if not error or was_told:
            return
        meaning = "this node does not contend for the lease"
        if has_lease(parts.health.role):
            meaning = "nothing new is sent, only reductions and cancels"
            if parts.trader_parts.is_disk_optional:
                meaning = "trading goes on from the stores; a fit spare takes over soon"
        await parts.teller.tell(
            Kind.DEGRADED,
            f"journal:{parts.wall_ms()}",
            {"what": "the journal cannot be written here", "error": error, "meaning": meaning},
        )


def _about(reason: str) -> str:
    return reason.partition(":")[0]

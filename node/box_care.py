"""Tells what is worth a look about this box before it must leave, once, and when it is over.

Rules of this file: it reads nothing itself (box_watch.py does, beside the trading); it changes no
eligibility, with one exception that the owner asks for: a node that has just started may wait a
bounded time for its clock (ADR 0041).
"""

from dataclasses import dataclass, field, replace

from alerts.model import Kind, Verdict
from node.board_rates import CardWrites, CpuShare
from node.box_warnings import (
    Change,
    Known,
    Warnings,
    expected_addresses,
    find_warnings,
    leased_notes,
)
from node.durations import show_duration
from node.logs import log_event
from node.parts import NodeParts
from node.resources import Resources


@dataclass(slots=True)
class BoxCare:
    """What this box was warned of, and the readings that it is judged by."""

    parts: NodeParts
    _warnings: Warnings = field(default_factory=Warnings)
    _cpu: CpuShare = field(default_factory=CpuShare)
    _writes: CardWrites = field(default_factory=CardWrites)
    _places: dict[str, str] = field(init=False)
    _last: Resources | None = None
    _wait_until_s: float | None = field(init=False)

    def __post_init__(self) -> None:
        """Begin to wait for the clock where that is asked for, before anything can contend."""
        parts = self.parts
        self._places = expected_addresses(parts.config, parts.node_id)
        wait_s = parts.config.health.clock_wait_s
        self._wait_until_s = parts.monotonic_s() + wait_s if wait_s else None
        parts.health.clock_wait = (
            f"clock: waits up to {show_duration(wait_s)} for the time to be synchronised"
            if wait_s
            else ""
        )

    async def step(self, now_s: float) -> None:
        """Judge a reading when there is a new one; tell what changed."""
        health = self.parts.health
        await self._wait_for_clock(now_s)
        resources = health.resources
        if resources is None or resources is self._last:
            return
        self._last = resources
        board = resources.board
        known = Known(
            cpu_percent=self._cpu.add(now_s, board.cpu_busy_s, board.cpu_total_s),
            writes=self._writes.add(now_s, board.written_mb),
            places=self._places,
        )
        findings = {
            # A limit that is passed was told at once: the warning joins it, to be taken back too.
            name: replace(finding, lasting_s=0.0) if self._is_beyond_limit(name) else finding
            for name, finding in find_warnings(resources, self.parts.config.health, known).items()
        }
        for change in self._warnings.judge(now_s, findings):
            await self._tell(change)
        health.notes = leased_notes(board.addresses, self._places)
        health.warnings = (
            *self._warnings.texts,
            *filter(None, [health.clock_wait, health.backup_trouble]),
        )

    async def _tell(self, change: Change) -> None:
        finding, parts = change.finding, self.parts
        unique = f"box:{change.name}:{parts.wall_ms()}"
        if not change.is_raised:
            log_event("box.recovered", reason=finding.good, lasted_s=round(change.lasted_s))
            lasted = show_duration(round(change.lasted_s))
            await parts.teller.tell(
                Kind.RECOVERED, unique, {"what": finding.good, "lasted": lasted}
            )
            return
        log_event("box.warned", reason=finding.bad)
        if self._is_beyond_limit(change.name):
            return  # box_watch.py has just told that this node does not contend
        await parts.teller.tell(
            Kind.DEGRADED,
            unique,
            {"what": finding.bad, "meaning": finding.meaning, "fix": finding.fix},
        )

    def _is_beyond_limit(self, name: str) -> bool:
        return any(r.startswith(f"{name}:") for r in self.parts.health.resource_reasons)

    async def _wait_for_clock(self, now_s: float) -> None:
        if self._wait_until_s is None:
            return
        health, resources = self.parts.health, self.parts.health.resources
        has_read = resources is not None
        is_good = resources.board.is_clock_synchronised if resources is not None else None
        is_over = now_s >= self._wait_until_s
        if is_over or (has_read and is_good is not False):
            self._wait_until_s, health.clock_wait = None, ""
        if not is_over or is_good:
            return
        waited = show_duration(self.parts.config.health.clock_wait_s)
        log_event("clock.unsynchronised", waited_s=self.parts.config.health.clock_wait_s)
        await self.parts.teller.tell(
            Kind.DEGRADED,
            f"clock-wait:{self.parts.identity.nonce}",
            {
                "what": f"the clock was not synchronised within {waited}",
                "meaning": "this node goes on without: the lease and the venue's deadlines do not "
                "need it; times in logs and messages may be wrong",
                "fix": "timedatectl status; let the box reach a time server (UDP port 123)",
            },
            verdict=Verdict.ACT,
        )

"""Tells when this box's own backups fail, or do not happen any more; and when one is good again."""

from dataclasses import dataclass, field

from alerts.model import Kind
from node.backup.note import why_bad
from node.bounded import OneAtATime
from node.durations import show_duration
from node.logs import log_event
from node.parts import NodeParts

LOOK_S = 300.0
BLOCKING_S = 1.0


@dataclass(slots=True)
class BackupWatch:
    """Reads what `nodectl backup --scheduled` noted, beside the trading; changes nothing else."""

    parts: NodeParts
    _file: OneAtATime = field(default_factory=lambda: OneAtATime(BLOCKING_S))
    _due_s: float = 0.0
    _told: str = ""
    _told_at_s: float = 0.0

    async def step(self, now_s: float) -> None:
        """Look when it is time, and tell what changed."""
        if now_s < self._due_s:
            return
        self._due_s = now_s + LOOK_S
        answer = await self._file.run(self.parts.load_backup_note)
        if answer is None:  # a card that stalls has its own alert
            return
        problem = why_bad(answer[0], now_ms=self.parts.wall_ms())
        self.parts.health.backup_trouble = problem
        before, self._told = self._told, problem
        if bool(problem) == bool(before):
            return  # the same trouble with another figure is no news
        unique = f"backup:{self.parts.wall_ms()}"
        if not problem:
            lasted_s = round(now_s - self._told_at_s)
            log_event("box.recovered", reason="backup: good again", lasted_s=lasted_s)
            await self.parts.teller.tell(
                Kind.RECOVERED,
                unique,
                {"what": "backup: the last one is good again", "lasted": show_duration(lasted_s)},
            )
            return
        self._told_at_s = now_s
        log_event("box.warned", reason=problem)
        await self.parts.teller.tell(
            Kind.DEGRADED,
            unique,
            {
                "what": problem,
                "meaning": "trading goes on; if this card dies, the newest backup is an older one",
                "fix": "see why: journalctl -u hotspare-backup; one by hand: nodectl backup",
            },
        )

"""The one place where the role changes: table, log, systemd and log context together."""

from dataclasses import dataclass

from node import role as roles
from node.logs import log_event
from node.parts import NodeParts
from node.role import Role, Trigger


@dataclass(slots=True)
class RoleDesk:
    """Changes the role of this process; used by the work loop's task only."""

    parts: NodeParts

    @property
    def role(self) -> Role:
        """What the process does now."""
        return self.parts.health.role

    @property
    def has_lease(self) -> bool:
        """Whether the process believes to hold the lease."""
        return roles.has_lease(self.role)

    def change(self, trigger: Trigger, reason: str) -> None:
        """Take one step of the role machine and say so.

        Raises:
            node.role.IllegalTransition: our own bug; nothing changed.
        """
        health = self.parts.health
        before = health.role
        health.role = roles.step(before, trigger)
        health.role_since_wall_ms = self.parts.wall_ms()
        log_event(
            "role.changed", **{"from": before.value, "to": health.role.value, "reason": reason}
        )
        self.parts.log.set_context(role=health.role.value)
        self.parts.notifier.status(f"{health.role.in_words}: {reason}")

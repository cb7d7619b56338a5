"""The role machine: what this process does, as a table.

Rules of this file: *holder* is what the store says, *active* is what the process does; this file
knows only the second. All transitions are in TRANSITIONS; anything else raises and changes
nothing. It does not decide when to contend (eligibility.py) nor what to send.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Role(StrEnum):
    """What the process does (DESIGN section 7)."""

    STARTING = "starting"  # loading markets, measuring the clock; not eligible
    STANDBY = "standby"
    TAKEOVER = "takeover"  # granted; reconciling; sends nothing new
    ACTIVE = "active"
    DRAINING = "draining"  # gives up on purpose: nothing new, waiting for what is in flight
    FENCED = "fenced"  # lost the lease; waiting until nothing of ours can be in flight
    HALTED = "halted"  # a broken invariant: a person must look

    @property
    def in_words(self) -> str:
        """What people read instead of the internal word."""
        return PEOPLES_WORDS[self]


PEOPLES_WORDS: Mapping[Role, str] = MappingProxyType(
    {
        Role.STARTING: "starting",
        Role.STANDBY: "standby",
        Role.TAKEOVER: "taking over",
        Role.ACTIVE: "leader",
        Role.DRAINING: "handing over",
        Role.FENCED: "stopped",
        Role.HALTED: "stopped",
    }
)


class Trigger(StrEnum):
    """What can change the role."""

    READY = "ready"  # markets loaded, clock measured
    GRANTED = "granted"
    RECONCILED = "reconciled"  # S4 holds: everything is accounted for
    LEASE_LOST = "lease_lost"  # lapsed or deposed
    DRAIN = "drain"  # switchover, SIGTERM, own bad health
    DRAINED = "drained"  # the release was sent
    QUIET = "quiet"  # nothing in flight any more, fence disarmed
    BROKEN = "broken"  # an invariant does not hold


class IllegalTransition(Exception):  # noqa: N818  (it is our own bug, not an input error)
    """The trigger cannot happen in this role; nothing changed."""


TRANSITIONS: Mapping[tuple[Role, Trigger], Role] = MappingProxyType(
    {
        (Role.STARTING, Trigger.READY): Role.STANDBY,
        (Role.STANDBY, Trigger.GRANTED): Role.TAKEOVER,
        (Role.TAKEOVER, Trigger.RECONCILED): Role.ACTIVE,
        (Role.TAKEOVER, Trigger.LEASE_LOST): Role.FENCED,
        (Role.TAKEOVER, Trigger.DRAIN): Role.DRAINING,
        (Role.ACTIVE, Trigger.LEASE_LOST): Role.FENCED,
        (Role.ACTIVE, Trigger.DRAIN): Role.DRAINING,
        (Role.DRAINING, Trigger.LEASE_LOST): Role.FENCED,
        (Role.DRAINING, Trigger.DRAINED): Role.STANDBY,
        (Role.FENCED, Trigger.QUIET): Role.STANDBY,
        **{(role, Trigger.BROKEN): Role.HALTED for role in Role},
    }
)


def step(role: Role, trigger: Trigger) -> Role:
    """Return the next role.

    Raises:
        IllegalTransition: the pair is not in TRANSITIONS.
    """
    try:
        return TRANSITIONS[(role, trigger)]
    except KeyError:
        raise IllegalTransition(f"{trigger} cannot happen while {role}") from None


def has_lease(role: Role) -> bool:
    """Tell whether the process believes to hold the lease in this role."""
    return role in (Role.TAKEOVER, Role.ACTIVE, Role.DRAINING)

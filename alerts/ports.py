"""Boundaries of alerts/: where messages go, who else told them, who answers commands.

Everything that crosses a package is satisfied by shape: election/ and exchange/ never import
this file; node/ implements `Claims`, `CommandHandler`, `CommandMemory` and `Observer`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from alerts.commands import Command


class DeliveryState(StrEnum):
    """How one attempt to deliver a message ended; the caller acts on each differently."""

    DELIVERED = "delivered"  # the channel said so
    RETRY_AFTER = "retry_after"  # not sent; the channel named the wait (`wait_s`)
    REJECTED_TEXT = "rejected_text"  # not sent; this text will never be accepted
    GONE_PERMANENTLY = "gone_permanently"  # not sent; no text will be, until a person mends it
    UNKNOWN = "unknown"  # the answer was lost: perhaps delivered
    NOT_SENT = "not_sent"  # proven not sent; try again later
    MIGRATED = "migrated"  # not sent; the conversation has a new address (`new_address`)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Outcome of one attempt. `reason` is for people and never contains a secret."""

    state: DeliveryState
    reason: str = ""
    wait_s: float = 0.0
    new_address: str = ""


class Sender(Protocol):
    """One channel to one reader. Makes exactly one attempt a call, never raises (but cancel)."""

    @property
    def name(self) -> str:
        """Name of the channel for logs, for example `telegram`."""
        ...

    @property
    def address(self) -> str:
        """Where messages go now (a chat id), empty when the channel has no addresses."""
        ...

    @property
    def has_html(self) -> bool:
        """True when the channel reads Telegram's HTML; others are given plain text."""
        ...

    def move_to(self, address: str) -> None:
        """Send to this address from now on (a group became a supergroup)."""
        ...

    async def send(self, text: str, *, is_silent: bool, is_html: bool) -> Delivery:
        """Try once to deliver `text`, within the channel's own time limit."""
        ...

    async def close(self) -> None:
        """Close connections; safe to call twice."""
        ...


class ClaimState(StrEnum):
    """What the nodes' shared memory says about an event that this node wants to tell."""

    MINE = "mine"  # nobody else tells it, or this very node claimed it before
    BUSY = "busy"  # the other node claimed it and has not yet confirmed
    TOLD = "told"  # the other node delivered it
    UNREACHABLE = "unreachable"  # cannot tell: tell it, double is better than none


class Claims(Protocol):
    """Shared memory of the nodes, so that an event both know is told once.

    A claim without a confirmation must not silence the event for ever: its owner may have died
    in between. Both calls return within a few seconds and never raise.
    """

    async def claim(self, event_id: str) -> ClaimState:
        """Claim the telling of this event, atomically against the other node."""
        ...

    async def confirm(self, event_id: str) -> None:
        """Record that this event was delivered."""
        ...


class CommandHandler(Protocol):
    """Who carries out a command that passed authorisation and confirmation."""

    async def handle(self, command: Command) -> str:
        """Carry out the command and return the answer in words; called once per command."""
        ...


class CommandMemory(Protocol):
    """Where the ids of handled updates are kept, shared by the nodes if possible.

    Telegram hands out an unconfirmed update again to whoever polls next; this memory is what
    keeps a command from running on both nodes. Neither call raises.
    """

    async def load(self) -> Collection[int]:
        """Return the update ids handled lately, in any order; empty when unreadable."""
        ...

    async def save(self, update_ids: Collection[int]) -> None:
        """Replace the remembered ids; called before a command runs."""
        ...


class Observer(Protocol):
    """Log of this package: constant dotted event names with fields, no prose, no secrets."""

    def note(self, name: str, **fields: str | float) -> None:
        """Take one event; must return at once and never raise."""
        ...

"""What one reconcile pass found: values between reconcile.py, plan.py and the people's reports."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from exchange.identity import Owner
from exchange.intents import IntentRecord
from exchange.journal import Change, Journal
from exchange.model import ZERO, ClientOrderId, OrderIntent, Side, VenueOrder, VenueOrderId
from exchange.positions import CountedFill


class Resolved(StrEnum):
    """How an intent turned out."""

    OPEN = "open"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """An intent whose state became known in this pass; `evidence` says from what.

    `was_unknown` is True when its outcome had been unknown before (worth an alert). `intent` is
    the order itself, for reports.
    """

    client_order_id: ClientOrderId
    symbol: str
    tag: str
    outcome: Resolved
    was_unknown: bool
    filled: Decimal
    evidence: str
    intent: OrderIntent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclear:
    """An intent that is not accounted for yet.

    `past_deadline_ms` is its age: venue time since its deadline plus effect tail, negative while
    it may still arrive. `may_fill` is what it may still do to the position.
    """

    client_order_id: ClientOrderId
    symbol: str
    tag: str
    side: Side
    may_fill: Decimal
    past_deadline_ms: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Working:
    """An open order of ours: the venue's word, the journal's record, whose it is."""

    order: VenueOrder
    record: IntentRecord
    owner: Owner


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Result of a pass. `journal` is the journal after it, `change` what must be written.

    - `resolved`: intents whose state became known; `unclear`: those still unaccounted for.
    - `working`: open orders of this cluster; `adoptable` and `orphans` are parts of it: those of
      older epochs, and those that the journal did not know (they are journalled from now on).
    - `foreign`: open orders that are not ours, never touched.
    - `deposed_by`: a later epoch (or another node with my epoch) was seen at the venue, whatever
      the stores say; nothing may be sent and `change` is empty.
    - `fills`: counted in this pass; `unattributed`: by symbol, orders to look up by venue id
      before counting can go on.
    - `blocked`: symbol -> why no new risk may be added there.
    - `absences`: venue time of the first read that found an intent absent after its deadline
      plus effect tail; give it back to the next pass.
    - `balance_notes`: for reports only.
    """

    journal: Journal
    change: Change
    resolved: tuple[Resolution, ...] = ()
    unclear: tuple[Unclear, ...] = ()
    working: tuple[Working, ...] = ()
    adoptable: tuple[ClientOrderId, ...] = ()
    orphans: tuple[ClientOrderId, ...] = ()
    foreign: tuple[VenueOrder, ...] = ()
    deposed_by: int | None = None
    fills: tuple[CountedFill, ...] = ()
    unattributed: Mapping[str, tuple[VenueOrderId, ...]] = field(default_factory=dict)
    blocked: Mapping[str, str] = field(default_factory=dict)
    absences: Mapping[ClientOrderId, int] = field(default_factory=dict)
    balance_notes: tuple[str, ...] = ()

    @property
    def is_clear(self) -> bool:
        """True when every order, fill and intent is accounted for and nobody deposed us."""
        return not self.unclear and not self.unattributed and self.deposed_by is None


def may_still(working: Iterable[Working], unclear: Iterable[Unclear], side: Side) -> Decimal:
    """Return what working and unclear orders (of one symbol) may still buy, or sell."""
    rest = sum((w.order.remaining for w in working if w.order.side is side), ZERO)
    return rest + sum((u.may_fill for u in unclear if u.side is side), ZERO)

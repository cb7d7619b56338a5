"""Values of the lease: timing, identity, the record, replies, views.

Rules of this file: values only; durations in configuration and records are integers of
milliseconds, instants in code are float seconds of this machine's lease clock (never wall time).
It decides nothing; machine.py does.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, NewType

NodeId = NewType("NodeId", str)
StoreName = NewType("StoreName", str)
Incarnation = NewType("Incarnation", str)  # run_id ":" master_replid, one life of a store (R2)
WriteId = NewType("WriteId", str)  # fresh random per write (R3)

NEVER_S = float("-inf")  # "never" is -inf, not 0: zero is a valid instant after boot (R0)


class LeaseState(StrEnum):
    """State field of the record."""

    VOID = "void"  # tombstone: nobody is named, and that is known since it was created
    HELD = "held"
    RELEASED = "released"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTiming:
    """Timing of the lease; relations are checked as sums when constructed.

    `drift` (d) bounds the relative rate error of the two clocks. `guard_ms` is how long before
    the kernel fence the permit's gate closes: at least the total timeout of one write.
    """

    ttl_ms: int = 6000
    renew_ms: int = 1000
    request_timeout_ms: int = 800
    observe_ms: int = 500
    guard_ms: int = 1000
    hang_limit_ms: int = 5000
    drift: float = 0.02

    def __post_init__(self) -> None:
        """Refuse timing that does not add up, with the numbers in the message.

        Raises:
            TimingRefused: a relation does not hold.
        """
        from election.errors import TimingRefused  # noqa: PLC0415  (errors import this module)

        numbers = (
            ("ttl_ms", self.ttl_ms),
            ("renew_ms", self.renew_ms),
            ("request_timeout_ms", self.request_timeout_ms),
            ("observe_ms", self.observe_ms),
            ("guard_ms", self.guard_ms),
            ("hang_limit_ms", self.hang_limit_ms),
        )
        for name, value in numbers:
            if value <= 0:
                raise TimingRefused(f"lease.{name} was {value}; it must be positive")
        if not 0 < self.drift < 0.2:  # noqa: PLR2004  (a clock 20 % off is broken, not slow)
            raise TimingRefused(f"lease.drift was {self.drift}; it must be between 0 and 0.2")
        needed = 2 * self.renew_ms + self.request_timeout_ms + self.guard_ms
        fence = 0.9 * self.ttl_ms
        if needed >= fence:
            raise TimingRefused(
                f"2·renew_ms + request_timeout_ms + guard_ms = 2·{self.renew_ms} + "
                f"{self.request_timeout_ms} + {self.guard_ms} = {needed} must be below "
                f"0.9·ttl_ms = {fence:.0f}; raise lease.ttl_ms or lower the others"
            )

    @property
    def fence_s(self) -> float:
        """Seconds from the send of a counted renewal to the kernel fence (0.9·ttl)."""
        return 0.9 * self.ttl_ms / 1000

    @property
    def gate_s(self) -> float:
        """Seconds from the send of a counted renewal until the permit closes."""
        return self.fence_s - self.guard_ms / 1000

    @property
    def takeable_after_s(self) -> float:
        """Seconds that a contender must see a record of this ttl unchanged (R6)."""
        return self.ttl_ms / 1000 * (1 + self.drift)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who contends. `cluster_id` includes the profile; `nonce` is 128 random bits per process.

    `config_id` is a hash of the ordered store list: two nodes that differ must not contend (R3).
    `label` is for people ("Jetson in the hall").
    """

    cluster_id: str
    config_id: str
    node_id: NodeId
    nonce: str
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRecord:
    """The lease record as one store has it (R3).

    `written_us` is the store's own wall clock at the write, for display only: no decision may
    use it.
    """

    cluster_id: str
    config_id: str
    node_id: NodeId
    nonce: str
    epoch: int
    max_epoch: int
    state: LeaseState
    ttl_ms: int
    wid: WriteId
    inc: Incarnation
    drain_ms: int = 0
    reserved_for: str = ""
    reason: str = ""
    label: str = ""
    written_us: int = 0
    version: int = 1


class Refusal(StrEnum):
    """Why a script did not write; NONE when it did."""

    NONE = "none"
    INCARNATION = "incarnation"  # another life of the store than expected
    CHANGED = "changed"  # wid differs: somebody wrote since
    NOT_MINE = "not_mine"  # nonce, epoch or state do not match
    EPOCH = "epoch"  # not above max_epoch (re-assert: below that of a held record)
    FOREIGN_CLUSTER = "foreign_cluster"
    OTHER_CONFIG = "other_config"
    NOT_MASTER = "not_master"
    UNREADABLE = "unreadable"  # the record is there but is not one of ours


class StoreReply(NamedTuple):
    """What every script returns: whether it wrote, the record now, the incarnation now (R4)."""

    refusal: Refusal
    record: LeaseRecord | None  # None only with FOREIGN_CLUSTER, NOT_MASTER or UNREADABLE
    inc: Incarnation
    detail: str = ""  # words for the log and the alert

    @property
    def is_ok(self) -> bool:
        """True when the script did what was asked."""
        return self.refusal is Refusal.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreView:
    """One store as this node sees it now, for status, alerts and the ledger."""

    name: StoreName
    is_reachable: bool
    error: str
    inc: Incarnation | None
    record: LeaseRecord | None
    round_trip_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseView:
    """The lease as this node sees it now; immutable, safe to hand to any thread.

    `holder` is named by a majority of the reachable-or-remembered records, None when no majority
    names one. `takeover_in_s` counts down to when this node may take the lease, None when it
    cannot tell or holds it. `longest_gap_s` is the longest time between two heartbeats since the
    last view was taken.
    """

    stores: tuple[StoreView, ...]
    is_mine: bool
    epoch: int
    holder: NodeId | None
    holder_label: str
    valid_for_s: float
    takeover_in_s: float | None
    longest_gap_s: float
    ineligible: tuple[str, ...]


# --- events: what the heartbeat publishes to the work loop -----------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """This node holds the lease now. Nothing may be sent before reconciling (S4).

    `silent_s`: how long the previous holder had been seen silent; None when it released or when
    there was none. `previous` is the node named before.
    """

    epoch: int
    previous: NodeId | None
    previous_epoch: int
    was_released: bool
    silent_s: float | None
    drain_ms: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lapsed:
    """The holder can no longer prove its lease on its own clock; the gate is closed for good."""

    epoch: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposed:
    """A majority names a higher epoch; the gate is closed for good."""

    epoch: int
    by_epoch: int
    by_node: NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """The release was sent to the stores; `was_acknowledged` by a majority."""

    epoch: int
    was_acknowledged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HolderChanged:
    """A majority names another holder (or none) than before; for standby and display."""

    holder: NodeId | None
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLost:
    """A store stopped answering usably; `error` says how."""

    name: StoreName
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreBack:
    """A store answers again."""

    name: StoreName


@dataclass(frozen=True, slots=True, kw_only=True)
class Reincarnated:
    """A store began another life, or lost its data: push ledger and control again if holder."""

    name: StoreName


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """Something a person should know: foreign cluster, other config, duplicate node, clock."""

    code: str
    detail: str
    is_fatal: bool = False


LeaseEvent = (
    Granted
    | Lapsed
    | Deposed
    | Released
    | HolderChanged
    | StoreLost
    | StoreBack
    | Reincarnated
    | Anomaly
)

"""Everything one node process is made of, put together in wiring.py and handed to the runtime."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from alerts.sender import AlertSender
from alerts.telegram import TelegramApi
from election.address import StoreAddress
from election.heartbeat import Heartbeat
from election.model import Identity
from election.ports import MemberRecords
from exchange.ports import JournalDisk
from node.backup.note import BackupNote
from node.bench import Seat
from node.cluster_watch import ClusterWatch
from node.config_model import Config
from node.deadman import Watched
from node.edges import (
    BoxProbe,
    CrashKeeper,
    JournalLedger,
    Link,
    LogContext,
    MoveMemory,
    PeerLink,
    Pinger,
    Supervisor,
    TradingMemory,
)
from node.health import Health
from node.mailbox import LeaseMailbox
from node.promise_doubt import PromiseDoubt
from node.replacing import replaced_reason
from node.reporter import Reporter
from node.shift_times import ShiftTimes
from node.teller import Teller
from node.trader import TraderParts


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeParts:
    """The parts of one node. `fresh_s` is the age up to which another node counts as there."""

    config: Config
    node_id: str
    identity: Identity
    addresses: tuple[StoreAddress, ...]
    heartbeat: Heartbeat
    mailbox: LeaseMailbox
    link: Link
    ledger: JournalLedger
    members: MemberRecords
    peer: PeerLink | None
    promise_doubt: PromiseDoubt | None
    watch: ClusterWatch
    disk: JournalDisk
    seats: tuple[Seat, ...]
    fingerprint: str
    trader_parts: TraderParts
    health: Health
    sender: AlertSender
    teller: Teller
    reporter: Reporter
    times: ShiftTimes
    telegram: TelegramApi | None
    notifier: Supervisor
    probe: BoxProbe
    log: LogContext
    last_trading: TradingMemory
    moves: MoveMemory
    load_backup_note: Callable[[], BackupNote | None]  # blocks
    crashes: CrashKeeper
    pingers: Mapping[Watched, Pinger]
    started_wall_ms: int
    watch_interval_s: float
    fresh_s: float
    wall_ms: Callable[[], int]
    monotonic_s: Callable[[], float]

    def peer_reasons(self) -> tuple[str, ...]:
        """Return why this node must not lead: other servers (R13), or an old store list (R3)."""
        old = replaced_reason(self.watch.latches, self.config.list_ids)
        different = () if self.peer is None else self.peer.reasons
        return (*different, *filter(None, [old]))

    def relies_on_promise(self) -> bool:
        """Tell whether this grant rests on the other node's promise (R14)."""
        return self.heartbeat.relies_on is not None

    def clock_error_ms(self) -> float | None:
        """Return how far the offset to the venue's clock may be off, None when unknown."""
        estimate = self.link.clock.estimate()
        return None if estimate is None else estimate.error_ms

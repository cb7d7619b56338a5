"""What the outside gives a node: every clock, disk, store, venue and channel it is built on.

Rules of this file: Protocols only. `wiring.build_runtime` puts the same node together whatever
the edges are: those of this machine (real_edges.py) or simulated ones (sim/). A new edge gets a
method here, in both, and nowhere else.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from alerts.durable import DurableOutbox
from alerts.ports import Sender
from alerts.telegram import TelegramApi
from election.address import StoreAddress
from election.crew import BuildCrew
from election.heartbeat import Heartbeat
from election.model import Identity, Incarnation, StoreName
from election.ports import (
    ControlRecords,
    EpochFile,
    Fence,
    FenceNotes,
    GrantNotes,
    LeaseClock,
    LeaseStore,
    MemberRecords,
)
from election.promise import PromiseMemory
from exchange.clock_offset import VenueClock
from exchange.model import ClientOrderId, WriteResult
from exchange.ports import JournalDisk, Ledger, Permit, Venue, WarmGateway
from node.backup.note import BackupNote
from node.cluster_watch import RestoredRecords
from node.crashes import Crash, CrashBook
from node.deadman import Ping, PingAnswer, Watched
from node.peer_picture import PeerPicture
from node.resources import FsyncProbe, Resources
from strategy.loading import LoadedStrategy
from strategy.ports import Worker


class JournalLedger(Ledger, Protocol):
    """The journal's documents in the lease stores (election.redis_ledger by shape)."""

    def read_named(self) -> Mapping[StoreName, Mapping[str, str]]:
        """Return the documents by store; stores that did not answer are absent."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class Link(Protocol):
    """This node's connection to the venue (exchange.ccxt_link.VenueLink by shape)."""

    @property
    def effect_tail_ms(self) -> int:
        """How long after its deadline a request may still take effect (R9)."""
        ...

    @property
    def clock(self) -> VenueClock:
        """The venue's time as it is known here."""
        ...

    @property
    def venue(self) -> Venue:
        """The reads."""
        ...

    @property
    def gateway(self) -> WarmGateway:
        """The writes."""
        ...

    async def load(self) -> None:
        """Load markets and measure the clock, before READY. Raises VenueError."""
        ...

    async def close(self) -> None:
        """Let requests under way end, then close."""
        ...


class Supervisor(Protocol):
    """Who watches the process (systemd.Notifier by shape); no call blocks or raises."""

    def ready(self, status: str) -> bool:
        """Say that the start is over."""
        ...

    def status(self, status: str) -> bool:
        """Say in words what the process does."""
        ...

    def watchdog(self) -> bool:
        """Give a sign of life."""
        ...

    def stopping(self, status: str) -> bool:
        """Say that the process is about to end."""
        ...


class BoxProbe(Protocol):
    """What this box has left (resources.ResourceProbe by shape); calls block."""

    def read(self) -> Resources:
        """Return a reading."""
        ...

    def probe_fsync(self) -> FsyncProbe:
        """Write a few bytes durably."""
        ...


class TradingMemory(Protocol):
    """When the cluster was last known to trade, on disk (outage.LastTrading by shape)."""

    def load_ms(self) -> int | None:
        """Return the remembered wall time, None when there is none."""
        ...

    def store_ms(self, wall_ms: int) -> None:
        """Remember. Raises OSError."""
        ...


class MoveMemory(Protocol):
    """The latest hand-overs for health, on disk (move_memory.DiskMoves by shape); calls block."""

    def load(self) -> Sequence[float]:
        """Return their ages in seconds."""
        ...

    def store(self, ages_s: Sequence[float]) -> None:
        """Remember these instead. Raises OSError."""
        ...


class CrashKeeper(Protocol):
    """This node's crashes, on disk (crash_file.CrashDesk by shape); changes block."""

    @property
    def book(self) -> CrashBook:
        """The crashes and the latch as they are known now."""
        ...

    def note(self, crash: Crash) -> None:
        """Add this process's own end."""
        ...

    def clear(self, latch_id: str) -> None:
        """Lift the latch of this id."""
        ...

    def mark_told(self) -> None:
        """Everything in the book was told."""
        ...


class Pinger(Protocol):
    """One dead-man URL (deadman_http.HttpPinger by shape); both calls return at once."""

    def send(self, ping: Ping) -> bool:
        """Begin a ping; False while the last one is still under way."""
        ...

    def take_answer(self) -> PingAnswer | None:
        """Return what became of a ping since the last call, None when nothing is known yet."""
        ...


class LogContext(Protocol):
    """What every log line carries (logs.LogHandle by shape)."""

    def set_context(self, **context: object) -> None:
        """Bind node, epoch or role to every following line."""
        ...


class PeerLink(Protocol):
    """How this node and the other one speak directly (peer_post.PeerPost by shape)."""

    def start(self) -> None:
        """Listen and begin to ask."""
        ...

    def stop(self) -> None:
        """End, within a bounded time."""
        ...

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why nobody may trade, from what the nodes told each other (R13)."""
        ...

    def picture(self) -> PeerPicture:
        """Return what is known of the other node now; at once."""
        ...


class Edges(Protocol):
    """Everything a node is built on. Methods are called once, while it is built."""

    # --- time and chance: read at any moment ---

    def wall_ms(self) -> int:
        """Return Unix time; for people and records, never for a decision about the lease."""
        ...

    def monotonic_s(self) -> float:
        """Return monotonic seconds."""
        ...

    def chance(self) -> float:
        """Return a random number in [0, 1)."""
        ...

    def new_nonce(self) -> str:
        """Return 128 random bits that name this process (R1)."""
        ...

    # --- the lease ---

    @property
    def clock(self) -> LeaseClock:
        """The lease clock."""
        ...

    @property
    def addresses(self) -> tuple[StoreAddress, ...]:
        """Where the stores are, for looks that a person asks for."""
        ...

    @property
    def build_crew(self) -> BuildCrew:
        """On what the heartbeat runs."""
        ...

    def fence(self) -> Fence:
        """Return the kernel fence. Raises FenceUnavailable."""
        ...

    def fence_note(self) -> FenceNotes | None:
        """Return the note that explains a kill to the next start, None for none."""
        ...

    def grant_note(self, identity: Identity) -> GrantNotes | None:
        """Return the note that tells a stop hook what to release, None for none (R16)."""
        ...

    def crash_keeper(self) -> CrashKeeper:
        """Return the crashes of this node's earlier processes."""
        ...

    def lease_stores(self) -> Sequence[LeaseStore]:
        """Return a client of each store, in configured order."""
        ...

    def epoch_file(self) -> EpochFile:
        """Return the durable epoch."""
        ...

    def ledger(
        self, identity: Identity, incarnations: Callable[[], Mapping[StoreName, Incarnation]]
    ) -> JournalLedger:
        """Return the fenced journal documents in the stores."""
        ...

    def control(self) -> ControlRecords:
        """Return the control records in the stores."""
        ...

    def members(self) -> MemberRecords:
        """Return the member board in the stores."""
        ...

    def promise_memory(self) -> PromiseMemory:
        """Return what this node's disk says about its own promise (R14)."""
        ...

    def forget_promise(self) -> None:
        """Make durable that nothing is promised. Raises PromiseFileUnusable."""
        ...

    def peer(self, heartbeat: Heartbeat, memory: PromiseMemory) -> PeerLink | None:
        """Return how the other node is spoken to directly, None when it is not (R13)."""
        ...

    # --- this box ---

    def journal_disk(self, name: str) -> JournalDisk:
        """Open this node's copy of some documents. Raises JournalError."""
        ...

    def restored_controls(self) -> RestoredRecords | None:
        """Return control records out of a backup, None for none. Raises JournalError."""
        ...

    def is_marked_new(self) -> bool:
        """Tell whether `nodectl init` marked a new cluster."""
        ...

    def trading_memory(self) -> TradingMemory:
        """Return the memory of when the cluster traded last."""
        ...

    def move_memory(self) -> MoveMemory:
        """Return the memory of the latest hand-overs for health."""
        ...

    def load_backup_note(self) -> BackupNote | None:
        """Return how this box's own backups went, None where it makes none. Blocks."""
        ...

    def probe(self) -> BoxProbe:
        """Return the box's resources."""
        ...

    def pingers(self) -> Mapping[Watched, Pinger]:
        """Return the dead-man URLs that are pinged; those that are not set are absent."""
        ...

    @property
    def supervisor(self) -> Supervisor:
        """Who watches this process."""
        ...

    @property
    def log(self) -> LogContext:
        """The log of this process."""
        ...

    # --- the world ---

    def load_strategy(
        self, source: str, parameters: Mapping[str, Any], *, base: Path
    ) -> LoadedStrategy:
        """Read a strategy. Raises StrategyRefused."""
        ...

    def worker(self, loaded: LoadedStrategy, budget_s: float) -> Worker:
        """Return who runs a strategy."""
        ...

    def venue_link(
        self,
        *,
        permit: Permit,
        on_step: Callable[[str], None],
        on_late_outcome: Callable[[ClientOrderId, WriteResult], None],
    ) -> Link:
        """Return the connection to the venue. Raises ConfigurationRefused."""
        ...

    def outbox(self) -> DurableOutbox:
        """Return what is to be told, kept on disk."""
        ...

    def alert_channel(self) -> Sender:
        """Return where alerts go."""
        ...

    @property
    def telegram(self) -> TelegramApi | None:
        """The bot that listens for commands, None when there is none."""
        ...

"""The edges of a simulated node: `node.edges.Edges` over one process of a simulated box.

Rules of this file: every blocking call of these edges returns a `Deferred` where the Protocol
names a value; the simulated loop's executor awaits it, as it would await a thread. The casts say
so to the type checker, and nothing else here does.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast

from alerts.durable import DurableOutbox
from alerts.ports import Sender
from alerts.telegram import TelegramApi
from election.address import StoreAddress
from election.crew import Crew, CrewOrders
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
from election.promise import NOTHING_PROMISED, PromiseMemory
from exchange.model import ClientOrderId, WriteResult
from exchange.ports import JournalDisk, Permit
from node.config_model import Config
from node.deadman import Watched
from node.edges import (
    BoxProbe,
    CrashKeeper,
    JournalLedger,
    Link,
    MoveMemory,
    PeerLink,
    Pinger,
    TradingMemory,
)
from node.peer_rules import other_node
from node.sim.boards import SimControl, SimLedger, SimMembers
from node.sim.box import SimFence
from node.sim.channel import Phone, SimChannel
from node.sim.crew import SimCrew
from node.sim.disk import (
    SimCrashKeeper,
    SimEpochFile,
    SimJournalDisk,
    SimMoves,
    SimOutboxStorage,
    SimProbe,
    SimTradingMemory,
)
from node.sim.fleet import SimFleet
from node.sim.gateway import Windows
from node.sim.market import SimExchange
from node.sim.notes import SimFenceNote, SimGrantNote
from node.sim.peers import SimPost
from node.sim.process import SimProcess
from node.sim.venue import SimLink
from node.sim.worker import SimWorker
from strategy.loading import LoadedStrategy, load_strategy


@cache
def _load(source: str, parameters: tuple[tuple[str, Any], ...], base: Path) -> LoadedStrategy:
    return load_strategy(source, dict(parameters), base=base)


class Quiet:
    """A supervisor and a log context that keep nothing."""

    def ready(self, status: str) -> bool:
        """Take note."""
        return bool(status)

    def status(self, status: str) -> bool:
        """Take note."""
        return bool(status)

    def watchdog(self) -> bool:
        """Take note."""
        return True

    def stopping(self, status: str) -> bool:
        """Take note."""
        return bool(status)

    def set_context(self, **context: object) -> None:
        """Take note."""


class SimEdges:
    """Everything one simulated process is built on."""

    def __init__(
        self,
        process: SimProcess,
        config: Config,
        *,
        exchange: SimExchange,
        phone: Phone,
        is_marked_new: Callable[[], bool],
    ) -> None:
        """Bind the process to its world."""
        self._process, self._config = process, config
        self._exchange, self._phone = exchange, phone
        self._is_marked_new = is_marked_new
        self._box = process.box
        self._timeout_s = config.lease.request_timeout_ms / 1000
        self._epoch_file = SimEpochFile(process)
        self.clock: LeaseClock = self._box.clock
        self.monotonic_s = self._box.clock.monotonic_s  # a box that boots has a new clock
        self.addresses: tuple[StoreAddress, ...] = ()
        self.supervisor = Quiet()
        self.log = Quiet()
        self.telegram: TelegramApi | None = None

    # --- time and chance ---

    def wall_ms(self) -> int:
        """Return the box's wall clock."""
        return int(self._box.clock.wall_s() * 1000)

    def chance(self) -> float:
        """Return a number of the world's one source."""
        return self._process.world.rng.random()

    def new_nonce(self) -> str:
        """Return a name that no other process has."""
        return f"{self._process.name}-{self._process.world.next_number()}"

    # --- the lease ---

    def build_crew(self, orders: CrewOrders) -> Crew:
        """Run the heartbeat on the world's events."""
        return SimCrew(
            orders,
            process=self._process,
            wires=self._box.wires,
            epoch_file=self._epoch_file,
        )

    def fence(self) -> Fence:
        """Return the simulated kernel's timer."""
        return SimFence(self._process, self._box.watching.check_fence)

    def fence_note(self) -> FenceNotes:
        """Return the note on the box's disk."""
        return SimFenceNote(self._process)

    def grant_note(self, identity: Identity) -> GrantNotes:
        """Return the note on the box's disk, with all that a stop hook needs."""
        facts = {
            "window_ms": self._config.venue.recv_window_ms,
            "effect_tail_ms": SimLink.effect_tail_ms,
        }
        return SimGrantNote(self._process, identity, facts)

    def crash_keeper(self) -> CrashKeeper:
        """Return the crashes on the box's disk."""
        return SimCrashKeeper(self._box.disk)

    def promise_memory(self) -> PromiseMemory:
        """Return what the box's disk remembers, where a promise can have been given."""
        return self._box.disk.promise if len(self._box.stores) == 1 else NOTHING_PROMISED

    def forget_promise(self) -> None:
        """Nothing was promised: the box's disk says so from now on."""
        self._box.disk.promise = NOTHING_PROMISED

    def peer(self, heartbeat: Heartbeat, memory: PromiseMemory) -> PeerLink | None:
        """Return the endpoint on the world's events."""
        way = self._box.way_to_peer(self._process)
        if way is None:
            return None
        peer = other_node(self._config, self._box.name)
        assert peer is not None, "two nodes with hosts"
        return SimPost(
            self._process, self._config, heartbeat=heartbeat, memory=memory, way=way, peer=peer
        )

    def lease_stores(self) -> Sequence[LeaseStore]:
        """Return the records themselves; the crew carries the messages."""
        return [store.lease for store in self._box.stores]

    def epoch_file(self) -> EpochFile:
        """Return the epoch on the box's disk."""
        return self._epoch_file

    def ledger(
        self, identity: Identity, incarnations: Callable[[], Mapping[StoreName, Incarnation]]
    ) -> JournalLedger:
        """Return the journal documents in the stores."""
        return cast(
            "JournalLedger", SimLedger(self._fleet(has_journal=True), identity, incarnations)
        )

    def control(self) -> ControlRecords:
        """Return the control records in the stores."""
        return cast("ControlRecords", SimControl(self._process, self._fleet()))

    def members(self) -> MemberRecords:
        """Return the member board in the stores."""
        return cast("MemberRecords", SimMembers(self._fleet()))

    def _fleet(self, *, has_journal: bool = False) -> SimFleet:
        return SimFleet(
            self._process, self._box.wires, timeout_s=self._timeout_s, has_journal=has_journal
        )

    # --- this box ---

    def journal_disk(self, name: str) -> JournalDisk:
        """Open a file of the box's disk."""
        return cast("JournalDisk", SimJournalDisk(self._process, name))

    def restored_controls(self) -> None:
        """No box here comes out of a backup."""
        return

    def is_marked_new(self) -> bool:
        """Tell whether this cluster never ran."""
        return self._is_marked_new()

    def move_memory(self) -> MoveMemory:
        """Return the hand-overs for health on the box's disk."""
        return SimMoves(self._process.world, self._box.disk)

    def trading_memory(self) -> TradingMemory:
        """Return when the cluster traded last."""
        return cast("TradingMemory", SimTradingMemory(self._process))

    def load_backup_note(self) -> None:
        """No box here makes backups."""
        return

    def probe(self) -> BoxProbe:
        """Return the box's resources."""
        return cast("BoxProbe", SimProbe(self._process))

    def pingers(self) -> Mapping[Watched, Pinger]:
        """Nobody outside waits for a sign of life."""
        return {}

    # --- the world ---

    def load_strategy(
        self, source: str, parameters: Mapping[str, Any], *, base: Path
    ) -> LoadedStrategy:
        """Read a strategy from its file, which never changes here."""
        return _load(source, tuple(sorted(parameters.items())), base)

    def worker(self, loaded: LoadedStrategy, budget_s: float) -> SimWorker:
        """Ask the strategy in place."""
        return SimWorker(self._process, loaded, budget_s)

    def venue_link(
        self,
        *,
        permit: Permit,
        on_step: Callable[[str], None],
        on_late_outcome: Callable[[ClientOrderId, WriteResult], None],
    ) -> Link:
        """Link to the simulated exchange."""
        del on_late_outcome  # nobody is cancelled in the middle of a write here
        venue = self._config.venue
        return SimLink(
            self._process,
            self._exchange,
            wire=self._box.venue_wire,
            windows=Windows(
                read_budget_s=venue.read_budget_s,
                read_timeout_s=1.8,
                write_timeout_s=venue.write_timeout_ms / 1000,
                recv_window_ms=venue.recv_window_ms,
            ),
            permit=permit,
            on_step=on_step,
        )

    def outbox(self) -> DurableOutbox:
        """Return the outbox on the box's disk."""
        return DurableOutbox(SimOutboxStorage(self._box.disk))

    def alert_channel(self) -> Sender:
        """Send to the simulated phone."""
        return SimChannel(self._process, self._phone)

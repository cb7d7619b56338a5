"""The heartbeat: drives the lease machine through its ports (shell).

The coordinator runs the machine and executes its commands, turn by turn. On what it runs, who
makes the blocking calls to the stores and who writes the epoch to disk is the crew's business
(crew.py): threads that do not belong to the work loop, so that a renewal never waits for a venue.

Rules of this file:

- A turn never blocks: calls go to the crew, events to `on_event`, which must only publish.
- The work loop drives `progress`, `settle`, `close_gate`, `release`, `set_eligibility`,
  `raise_floor`; each returns at once.
- If the coordinator crashes, the gate closes for good, the fence stays armed, and a fatal `Anomaly`
  is published: this process must end.
"""

import random
import threading
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import assert_never

from election.crew import BuildCrew, CrewOrders
from election.epoch_memory import EpochMemory
from election.errors import EpochFileUnusable
from election.gate import move_gate
from election.instants import Instant, holder_elapsed_s, instant_of
from election.machine import LeaseMachine
from election.model import (
    Anomaly,
    Deposed,
    Identity,
    Incarnation,
    Lapsed,
    LeaseEvent,
    LeaseTiming,
    LeaseView,
    Released,
    StoreBack,
    StoreLost,
    StoreName,
)
from election.permit import LeasePermit
from election.ports import EpochFile, Fence, FenceNotes, GrantNotes, LeaseClock, LeaseStore
from election.promise import Promise
from election.promises import PeerFacts
from election.signals import (
    Call,
    CloseGate,
    Command,
    EligibilitySet,
    ExtendGate,
    FloorRaised,
    HandoverExpected,
    OpenGate,
    PromiseStimulus,
    Publish,
    ReleaseAsked,
    Stimulus,
    StoreEpoch,
    SuspendGate,
    Tick,
)
from election.thread_crew import ThreadCrew

_REASON_MAX = 200  # goes into the record, which counts against the store's memory


class Heartbeat:
    """Keeps the lease for one process, or waits for it."""

    def __init__(
        self,
        *,
        identity: Identity,
        timing: LeaseTiming,
        stores: Sequence[LeaseStore],
        epoch_file: EpochFile,
        fence: Fence,
        clock: LeaseClock,
        on_event: Callable[[LeaseEvent], None],
        random_source: Callable[[], float] | None = None,
        min_floor: int = 0,
        note: FenceNotes | None = None,
        build_crew: BuildCrew = ThreadCrew,
        stood_down: str = "",
        grant_note: GrantNotes | None = None,
        needed: StoreName | None = None,
    ) -> None:
        """Prepare; nothing runs before `start`.

        Args:
            identity: who contends.
            timing: validated timing.
            stores: one or three, in order; closed at `stop`.
            epoch_file: read here, once.
            fence: of the kernel, or `NoFence` in `dev`.
            clock: the lease clock.
            on_event: called from the coordinator's turns; only publishes, never raises.
            random_source: numbers in [0, 1) for back-off.
            min_floor: highest epoch in client order ids at the venue.
            note: tells the next start what froze; None writes none.
            build_crew: on what turns and calls run.
            stood_down: why a promise on disk keeps it from contending, empty for none.
            grant_note: tells a stop hook what to release (R16); None writes none.
            needed: store that every decision needs while the pair grows (quorum.py).
        """
        self._identity, self._timing = identity, timing
        self._clock, self._on_event = clock, on_event
        self._random = random.SystemRandom().random if random_source is None else random_source
        self._note, self._grant_note = note, grant_note
        self._start_trouble = ""
        try:
            disk_epoch = epoch_file.load()
            if epoch_file.warning:
                self._start_trouble = epoch_file.warning
            self._disk_trouble = ""
        except EpochFileUnusable as error:
            disk_epoch = 0
            self._start_trouble = self._disk_trouble = f"the epoch file is unusable: {error}"
        self._machine = LeaseMachine(
            identity=identity,
            timing=timing,
            stores=[store.name for store in stores],
            disk_epoch=disk_epoch,
            floor=min_floor,
            stood_down=stood_down,
            needed=needed,
        )
        self._machine_guard = threading.Lock()  # held for a step or a view, never for I/O
        self._permit = LeasePermit(
            clock=clock,
            fence=fence,
            timing=timing,
            on_armed=None if note is None else note.armed,
            on_disarmed=None if note is None else note.remove,
            on_flight=None if note is None else note.in_flight,
        )
        self._crew = build_crew(
            CrewOrders(
                coordinator=self,
                stores=stores,
                epoch_file=epoch_file,
                identity=identity,
                timing=timing,
                clock=clock,
            )
        )
        self._progress: tuple[Instant, str] | None = None
        self._noted_at: Instant | None = None
        self._incarnations: Mapping[StoreName, Incarnation] = {}
        self._crash = ""
        self._listeners: dict[int, tuple[PromiseStimulus, Callable[[PeerFacts], None]]] = {}
        self._asked: EligibilitySet | None = None
        self._memory = EpochMemory(disk_epoch)

    # --- called by the node --------------------------------------------------------------------

    @property
    def identity(self) -> Identity:
        """Who contends; the fenced ledger writes under it."""
        return self._identity

    @property
    def permit(self) -> LeasePermit:
        """The right to send; satisfies `exchange.ports.Permit`."""
        return self._permit

    @property
    def is_alive(self) -> bool:
        """True while the coordinator runs."""
        return self._crew.is_alive and not self._crash

    def start(self) -> None:
        """Start the crew. The node contends once `set_eligibility(())` and progress came."""
        self._crew.start()

    def stop(self, timeout_s: float) -> None:
        """Close the gate, end the crew, take the fence away if nothing is in flight.

        Call it from the work loop's thread, after `release` and its `Released` event if this node
        held the lease; otherwise the lease runs out by itself.
        """
        self._permit.end_grant(reason="the process is stopping")
        self._permit.settle()
        self._crew.stop(timeout_s)
        if self._note is not None and self._permit.is_settled:
            self._note.remove()

    def progress(self, label: str) -> None:
        """Tell that the work loop completed a bounded step; renewals depend on it (R8).

        Call it from the work loop's own thread, never from a timer callback.

        Args:
            label: which step, for people ("decision", "venue read", "plan step 3").
        """
        now = instant_of(self._clock.read())
        self._progress = (now, label)
        noted_at, renew_s = self._noted_at, self._timing.renew_ms / 1000
        if noted_at is None or holder_elapsed_s(noted_at, now) >= renew_s:
            self._noted_at = now
            if self._note is not None:
                self._note.progress(label, now.boot_s)
        self._permit.settle()

    def progress_age_s(self) -> float | None:
        """Return seconds since the work loop's last completed step, None before the first."""
        at = self._progress
        return None if at is None else holder_elapsed_s(at[0], instant_of(self._clock.read()))

    def settle(self) -> bool:
        """Take the fence away after the gate was closed; False while a write is in flight.

        Call it from the work loop's thread when `Lapsed`, `Deposed` or `Released` arrives;
        `progress` and the end of the last write do the same.
        """
        return self._permit.settle()

    def settle_unless_hung(self) -> bool:
        """`settle` for the work loop's thread while its turn still waits for a bounded answer.

        Such a wait may last longer than the guard: a node that is cut off from everything would
        be killed although it is well. A loop whose last step is older than the hang limit keeps
        its fence: that is why it lost the lease.
        """
        age_s = self.progress_age_s()
        if age_s is None or age_s > self._timing.hang_limit_ms / 1000:
            return False
        return self.settle()

    def set_eligibility(self, reasons: tuple[str, ...]) -> None:
        """Set the node's reasons not to contend; empty means that it may. A holder keeps it."""
        asked = EligibilitySet(reasons=(*reasons, *filter(None, [self._disk_trouble])))
        if asked != self._asked:  # the work loop says it every turn
            self._asked = asked
            self._crew.post(asked)

    def raise_floor(self, epoch: int) -> None:
        """Tell the highest epoch seen in client order ids at the venue (R7).

        A floor above the own epoch ends the grant. If the other node's orders carry the *same*
        epoch (possible only after lost data), pass that epoch + 1.
        """
        self._crew.post(FloorRaised(epoch=epoch))

    def expect_handover(self) -> None:
        """Look at the stores more often for a moment (looking.py); a hint, from any thread."""
        self._crew.post(HandoverExpected())

    def close_gate(self, reason: str) -> None:
        """Close the gate for good, before draining; the lease is kept until `release`.

        It closes the present grant only: a node that is stopping gives a reason to
        `set_eligibility` first, or it may be granted another.
        """
        self._permit.close(reason=reason)

    def release(self, *, drain_ms: int, reserved_for: str, reason: str) -> None:
        """Give the lease away, irrevocably; the `Released` event follows (R10).

        The node has closed the gate and drained before; what may still be under way at the venue
        is told by `drain_ms`.

        Args:
            drain_ms: until the latest deadline (and effect tail) of sent intents without outcome.
            reserved_for: node id of the successor of a switchover; empty for anybody.
            reason: for people and the next holder's alert.
        """
        self._permit.close(reason=reason)
        self._crew.post(
            ReleaseAsked(drain_ms=drain_ms, reserved_for=reserved_for, reason=reason[:_REASON_MAX])
        )

    def promise(self, stimulus: PromiseStimulus, then: Callable[[PeerFacts], None]) -> None:
        """Let the machine take in a promise or its end; callable from any thread.

        Args:
            stimulus: what was promised or ended.
            then: called from the coordinator with the facts right after; must return at once. It
                is not called when the heartbeat has crashed or stopped.
        """
        self._listeners[id(stimulus)] = (stimulus, then)
        self._crew.post(stimulus)

    @property
    def relies_on(self) -> Promise | None:
        """The promise that lets this node trade on without a store; from any thread, at once."""
        with self._machine_guard:
            return self._machine.promises.relies_on

    @property
    def stood_down(self) -> str:
        """Why a promise keeps this node from contending, empty for none; from any thread."""
        with self._machine_guard:
            return self._machine.promises.reason

    def now(self) -> Instant:
        """Return this instant on the lease's clocks."""
        return instant_of(self._clock.read())

    def peer_facts(self) -> PeerFacts:
        """Return what the other node may know of this one; from any thread, at once."""
        with self._machine_guard:
            return self._machine.peer_facts(self.now())

    def view(self) -> LeaseView:
        """Return the lease as this node sees it now; begins a new measure of the longest gap."""
        with self._machine_guard:
            view = self._machine.view(instant_of(self._clock.read()))
        if self._crash:
            return replace(view, ineligible=(*view.ineligible, self._crash))
        return view

    def grant_incarnations(self) -> Mapping[StoreName, Incarnation]:
        """Return the incarnation of each store in which the current grant is held."""
        return self._incarnations

    # --- the coordinator -----------------------------------------------------------------------

    def begin(self) -> None:
        """Say what was wrong at the start; the crew calls it before the first turn."""
        if self._start_trouble:
            self._on_event(Anomaly(code="epoch_file", detail=self._start_trouble))

    def turn(self, stimulus: Stimulus | None, *, is_due: bool) -> float | None:
        """Take one turn; returns seconds until the next tick, None after a crash (`Coordinator`).

        The tick comes first: after a pause the gate is suspended before an old acknowledgement is
        taken in (R0).
        """
        try:
            if is_due:
                self._drive(self._tick())
            if stimulus is not None and not self._memory.takes(stimulus):
                self._drive(stimulus)
                _, then = self._listeners.pop(id(stimulus), (None, None))
                if then is not None:
                    then(self.peer_facts())
            return self._machine.wake_in_s(instant_of(self._clock.read()))
        except BaseException as error:  # noqa: BLE001  (whatever it was: close, tell, never silent)
            self._crash = f"the heartbeat crashed: {type(error).__name__}: {error}"
            self._permit.condemn(reason=self._crash)
            detail = "".join(traceback.format_exception(error))[-2000:]
            self._on_event(Anomaly(code="heartbeat_crashed", detail=detail, is_fatal=True))
            return None

    def _tick(self) -> Tick:
        at, label = self._progress or (None, "")
        return Tick(progress_at=at, progress_label=label, is_settled=self._permit.is_settled)

    def _drive(self, first: Stimulus) -> None:
        """Step the machine and execute its commands until nothing new comes of them."""
        stimuli = deque([first])
        while stimuli:
            with self._machine_guard:
                commands = self._machine.step(
                    stimuli.popleft(), now=instant_of(self._clock.read()), chance=self._random()
                )
                incarnations = self._machine.incarnations()
            if self._grant_note is not None and incarnations not in ({}, self._incarnations):
                self._grant_note.held(self._permit.epoch, incarnations)
            self._incarnations = incarnations
            for command in commands:
                outcome = self._execute(command)
                if outcome is not None:
                    stimuli.append(outcome)
        if (order := self._memory.note(self._machine.max_epoch)) is not None:
            self._crew.store_epoch(order)

    def _execute(self, command: Command) -> Stimulus | None:
        match command:
            case Call():
                self._crew.call(command)
            case StoreEpoch():
                if self._grant_note is not None:
                    self._grant_note.held(command.epoch, self._machine.observed.incarnations())
                self._crew.store_epoch(command)
            case OpenGate() | ExtendGate():
                return move_gate(self._permit, command)
            case SuspendGate():
                self._permit.suspend(since=command.since, reason=command.reason)
            case CloseGate():
                self._permit.end_grant(reason=command.reason)
            case Publish():
                self._note_event(command.event)
                self._on_event(command.event)
            case _:
                assert_never(command)
        return None

    def _note_event(self, event: LeaseEvent) -> None:
        """Keep the notes for whoever comes after this process (R16)."""
        match event:
            case Lapsed() | Deposed() | Released(was_acknowledged=True):
                if self._grant_note is not None:
                    self._grant_note.ended()
            case StoreLost() | StoreBack() if self._note is not None:
                self._note.majority(is_reachable=self._machine.observed.has_majority)

"""One lease machine on a bench: the test moves time and decides the fate of each message."""

from election.errors import StoreUnreachable
from election.gate import move_gate
from election.machine import LeaseMachine
from election.memory_store import MemoryStore
from election.model import (
    Anomaly,
    Identity,
    Incarnation,
    LeaseEvent,
    LeaseRecord,
    LeaseState,
    LeaseTiming,
    NodeId,
    StoreName,
    StoreReply,
    WriteId,
)
from election.permit import LeasePermit
from election.signals import (
    Answered,
    Call,
    CloseGate,
    Command,
    EligibilitySet,
    EpochStored,
    ExtendGate,
    Failed,
    OpenGate,
    Publish,
    Stimulus,
    StoreEpoch,
    SuspendGate,
    Tick,
    Verb,
)
from election.standing import Phase
from election.store_worker import execute
from tests.support.manual_clock import ManualClock, RecordingFence

STEP_S = 0.25  # the default timing's longest time between two ticks


def someone(name: str, nonce: str = "") -> Identity:
    """Return an identity of the bench's cluster."""
    return Identity(
        cluster_id="c", config_id="x", node_id=NodeId(name), nonce=nonce or f"nonce-{name}"
    )


class Bench:
    """A machine, its permit, and stores in memory; messages wait until the test delivers them."""

    def __init__(
        self,
        stores: int = 1,
        *,
        disk: int = 0,
        floor: int = 0,
        me: Identity | None = None,
        shared: "Bench | None" = None,
        needed: str = "",
    ) -> None:
        """Build a bench; with `shared`, on the other bench's stores and clock.

        `needed` is the store that every decision needs (a joint list), empty for none.
        """
        self.clock: ManualClock = ManualClock() if shared is None else shared.clock
        self.fence, self.timing, self.chance = RecordingFence(), LeaseTiming(), 0.5
        self.me, self.rival = me or someone("me"), someone("rival")
        self.stores: dict[StoreName, MemoryStore] = (
            {StoreName(name): MemoryStore(name, now_us=lambda: 0) for name in "xyz"[:stores]}
            if shared is None
            else shared.stores
        )
        self.machine = LeaseMachine(
            identity=self.me,
            timing=self.timing,
            stores=list(self.stores),
            disk_epoch=disk,
            floor=floor,
            needed=StoreName(needed) if needed else None,
        )
        self.permit = LeasePermit(clock=self.clock, fence=self.fence, timing=self.timing)
        self.waiting: list[Call] = []
        self.events: list[LeaseEvent] = []
        self.asked_epochs: list[int] = []
        self.log: list[Call] = []
        self.works, self.disk_works, self.disk = True, True, disk
        self.progress_at = self.clock.now()
        self._wids = 0
        self.feed(EligibilitySet(reasons=()))

    # --- driving ---

    def feed(self, first: Stimulus) -> None:
        stimuli = [first]
        while stimuli:
            now, stimulus = self.clock.now(), stimuli.pop(0)
            for command in self.machine.step(stimulus, now=now, chance=self.chance):
                stimuli.extend(self._execute(command))

    def tick(self) -> None:
        if self.works:
            self.progress_at = self.clock.now()
            self.permit.settle()
        self.feed(
            Tick(
                progress_at=self.progress_at,
                progress_label="step",
                is_settled=self.permit.is_settled,
            )
        )

    def run(self, seconds: float) -> None:
        """Tick along; every message arrives at once unless its store is down."""
        until = self.clock.boot_s + seconds
        while self.clock.boot_s < until - 1e-9:
            self.clock.advance(min(STEP_S, until - self.clock.boot_s))
            self.tick()
            self.deliver()

    def deliver(self, store: str = "", *, is_reply_lost: bool = False) -> None:
        """Let the waiting calls (to one store) happen, and those that come of them."""
        for _ in range(50):
            calls = [c for c in self.waiting if not store or c.store == store]
            if not calls:
                return
            for call in calls:
                self.waiting.remove(call)
                self._happen(call, is_reply_lost=is_reply_lost)
            if is_reply_lost:
                return
        raise AssertionError("the machine and its stores never came to rest")

    def deliver_one(self, call: Call) -> None:
        """Let one call happen; what comes of it waits (a late answer may match nothing)."""
        if call in self.waiting:
            self.waiting.remove(call)
        self._happen(call, is_reply_lost=False)

    def lose(self, store: str = "") -> None:
        """Lose the waiting requests (to one store)."""
        for call in [c for c in self.waiting if not store or c.store == store]:
            self.waiting.remove(call)
            self.feed(Failed(call=call, error="timeout"))

    def _happen(self, call: Call, *, is_reply_lost: bool) -> None:
        now, ttl_ms = self.clock.now(), self.timing.ttl_ms
        store = self.stores[call.store]
        try:
            reply = execute(store, call, identity=self.me, ttl_ms=ttl_ms, new_wid=self.wid())
        except StoreUnreachable as error:
            self.feed(Failed(call=call, error=str(error)))
            return
        if is_reply_lost:
            self.feed(Failed(call=call, error="timeout"))
        else:
            self.feed(Answered(call=call, reply=reply, sent=now, received=now))

    def _execute(self, command: Command) -> list[Stimulus]:
        match command:
            case Call():
                self.waiting.append(command)
                self.log.append(command)
            case StoreEpoch():
                self.asked_epochs.append(command.epoch)
                return [EpochStored(epoch=command.epoch)] if self.disk_works else []
            case OpenGate() | ExtendGate():
                outcome = move_gate(self.permit, command)
                return [] if outcome is None else [outcome]
            case SuspendGate():
                self.permit.suspend(since=command.since, reason=command.reason)
            case CloseGate():
                self.permit.end_grant(reason=command.reason)
            case Publish():
                self.events.append(command.event)
        return []

    # --- what is, and what others do ---

    def is_open(self) -> bool:
        return self.permit.remaining_s() > 0

    def is_in(self, phase: Phase) -> bool:
        return self.machine.phase is phase

    def of(self, kind: type[LeaseEvent]) -> list[LeaseEvent]:
        return [event for event in self.events if isinstance(event, kind)]

    def verbs(self, store: str = "") -> list[Verb]:
        return [c.verb for c in self.log if not store or c.store == store]

    def wid(self) -> WriteId:
        self._wids += 1
        return WriteId(f"{self.me.nonce}-{self._wids}")

    def look(self, store: str = "x") -> StoreReply:
        return self.stores[StoreName(store)].observe(identity=self.me, new_wid=self.wid())

    def record(self, store: str = "x") -> LeaseRecord:
        record = self.look(store).record
        assert record is not None
        return record

    def rival_takes(self, store: str, epoch: int, *, ttl_ms: int = 6000) -> Incarnation:
        seen = self.look(store)
        assert seen.record is not None
        reply = self.stores[StoreName(store)].acquire(
            identity=self.rival,
            epoch=epoch,
            ttl_ms=ttl_ms,
            expected_inc=seen.inc,
            expected_wid=seen.record.wid,
            new_wid=self.wid(),
            reason="",
        )
        assert reply.is_ok, reply.refusal
        return reply.inc

    def rival_renews(self, store: str, epoch: int) -> None:
        inc = self.look(store).inc
        reply = self.stores[StoreName(store)].renew(
            identity=self.rival, epoch=epoch, ttl_ms=6000, expected_inc=inc, new_wid=self.wid()
        )
        assert reply.is_ok, reply.refusal

    def rival_releases(
        self, store: str, epoch: int, *, drain_ms: int = 0, reserved_for: str = ""
    ) -> None:
        inc = self.look(store).inc
        reply = self.stores[StoreName(store)].release(
            identity=self.rival,
            epoch=epoch,
            expected_inc=inc,
            new_wid=self.wid(),
            drain_ms=drain_ms,
            reserved_for=reserved_for,
            reason="switchover",
        )
        assert reply.is_ok, reply.refusal

    def hold(self) -> "Bench":
        """Run until this machine holds the lease in every store."""
        self.run(8)
        assert self.is_open()
        for store in self.stores:
            assert self.record(store).state is LeaseState.HELD
        self.events.clear()
        self.log.clear()
        return self


def anomalies(bench: Bench) -> list[str]:
    """Return the codes of the anomalies that were told."""
    return [event.code for event in bench.of(Anomaly) if isinstance(event, Anomaly)]


def takeover_in_s(bench: Bench) -> float:
    """Return how long the contender still has to wait, as it says itself."""
    left_s = bench.machine.view(bench.clock.now()).takeover_in_s
    assert left_s is not None
    return left_s


def asking(bench: Bench) -> Bench:
    """Run until the stores are asked; nothing is delivered yet."""
    bench.disk_works = False
    bench.run(8)
    (asked,) = bench.asked_epochs
    bench.feed(EpochStored(epoch=asked))
    bench.log.clear()
    return bench

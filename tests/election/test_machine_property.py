"""Two machines, shared stores, hypothesis as the weather: whatever it does, one gate (S1)."""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from election.instants import ClockFault, Instant
from election.memory_store import MemoryStore, Snapshot
from election.model import Anomaly, Granted, Identity, LeaseTiming
from election.observation import Observation
from election.signals import Call, ReleaseAsked
from tests.support.lease_bench import STEP_S, Bench, someone

NODES = st.sampled_from([0, 1])
STORES = st.integers(min_value=0, max_value=2)


class TwoNodes(RuleBasedStateMachine):
    """Messages happen, get lost on either way, or happen long after their sender gave up."""

    def __init__(self) -> None:
        super().__init__()
        self.benches: list[Bench] = []
        self.late: list[tuple[Bench, Call]] = []
        self.snapshots: list[tuple[MemoryStore, Snapshot]] = []
        self.lives = 0

    @initialize(stores=st.sampled_from([1, 3]))
    def begin(self, stores: int) -> None:
        first = Bench(stores, me=someone("jetson", "jetson-0"))
        self.benches = [first, Bench(stores, me=someone("pi", "pi-0"), shared=first)]

    def store(self, index: int) -> MemoryStore:
        stores = list(self.benches[0].stores.values())
        return stores[index % len(stores)]

    @rule(chance=st.floats(min_value=0, max_value=0.999), steps=st.integers(1, 30))
    def calm(self, chance: float, steps: int) -> None:
        """Time passes, every message arrives at once; a fence that is due ends its process."""
        for _ in range(steps):
            self.benches[0].clock.advance(STEP_S)
            for index, bench in enumerate(self.benches):
                bench.chance = chance
                fence_s = bench.fence.at_boot_s
                if fence_s is not None and fence_s <= bench.clock.boot_s:
                    self.restart(index)
                else:
                    bench.tick()
                    bench.deliver()
                self.check_one_gate()

    @rule(seconds=st.floats(min_value=0.05, max_value=3), node=NODES)
    def silence(self, seconds: float, node: int) -> None:
        """Time passes, one node ticks, nothing arrives."""
        self.benches[0].clock.advance(seconds)
        self.benches[node].tick()

    @rule(node=NODES, index=STORES, fate=st.sampled_from(["lost", "reply lost", "late"]))
    def trouble(self, node: int, index: int, fate: str) -> None:
        """What waits for one store is lost, half lost, or delayed."""
        bench, name = self.benches[node], self.store(index).name
        if fate == "late":
            self.late += [(bench, call) for call in bench.waiting if call.store == name]
        if fate == "reply lost":
            bench.deliver(name, is_reply_lost=True)
        else:
            bench.lose(name)

    @rule()
    def arrive(self) -> None:
        """Messages whose senders gave up long ago reach their stores, and are answered."""
        late, self.late = self.late, []
        for bench, call in late:
            bench.deliver_one(call)

    @rule(index=STORES)
    def remember(self, index: int) -> None:
        """Somebody takes a backup."""
        self.snapshots.append((self.store(index), self.store(index).snapshot()))

    @rule(index=STORES, how=st.sampled_from(["kept", "wiped", "flushed", "rolled back"]))
    def store_fault(self, index: int, how: str) -> None:
        """A store restarts, loses its data, or comes back with older data."""
        store = self.store(index)
        match how:
            case "kept":
                store.restart(keep=True)
            case "wiped":
                store.restart(keep=False)
            case "flushed":
                store.flush()
            case _:
                for owner, snapshot in self.snapshots[-1:]:
                    owner.rollback(snapshot)

    @rule(node=NODES, reserved=st.sampled_from(["", "jetson", "pi"]))
    def switchover(self, node: int, reserved: str) -> None:
        """The holder gives the lease away."""
        bench = self.benches[node]
        bench.permit.close(reason="switchover")
        bench.feed(ReleaseAsked(drain_ms=0, reserved_for=reserved, reason="switchover"))

    @rule(node=NODES)
    def restart(self, node: int) -> None:
        """The process is killed and started again: a new nonce, the epoch from its disk."""
        old, self.lives = self.benches[node], self.lives + 1
        disk = max([*old.asked_epochs, old.disk])
        name = old.me.node_id
        self.benches[node] = Bench(
            len(old.stores), me=someone(name, f"{name}-{self.lives}"), shared=old, disk=disk
        )

    @rule(node=NODES)
    def hang(self, node: int) -> None:
        """The work loop hangs, or goes on."""
        self.benches[node].works = not self.benches[node].works

    @invariant()
    def check_one_gate(self) -> None:
        """S1: never two open gates; own epochs only grow; no phantom clock faults."""
        assert sum(bench.is_open() for bench in self.benches) < 2
        for bench in self.benches:
            epochs = [e.epoch for e in bench.of(Granted) if isinstance(e, Granted)]
            assert epochs == sorted(set(epochs))
            assert not any(
                isinstance(e, Anomaly) and e.code == ClockFault.BACKWARD for e in bench.events
            )


TestTwoNodes = TwoNodes.TestCase
TestTwoNodes.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


class NeverWaits(Observation):
    """R6 broken: any record may be taken at once."""

    __slots__ = ()

    def takeable_in_s(
        self, identity: Identity, timing: LeaseTiming, longest_ttl_ms: int, now: Instant
    ) -> float | None:
        wait_s = super().takeable_in_s(identity, timing, longest_ttl_ms, now)
        return None if wait_s is None else 0.0


class BrokenNodes(TwoNodes):
    """The same weather over a broken rule."""

    @initialize(stores=st.sampled_from([1, 3]))
    def begin(self, stores: int) -> None:
        super().begin(stores)
        for bench in self.benches:
            bench.machine._world.observed._by_name = {
                name: NeverWaits(name=name) for name in bench.stores
            }


def test_broken_rule_fails_the_property() -> None:
    """The property can fail."""
    once = settings(TestTwoNodes.settings, max_examples=200, phases=[Phase.generate], database=None)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(BrokenNodes, settings=once)

"""A machine of a joint list: the old store is needed in every decision (R3, election/quorum.py).

x is the old list's only store, y and z are new. The rival may be a node of the old list, which
holds in x alone, or one of the new list, which holds in any two.
"""

import pytest

from election.model import (
    Deposed,
    Granted,
    HolderChanged,
    Lapsed,
    LeaseState,
    Released,
    StoreName,
)
from election.signals import ReleaseAsked, Verb
from election.standing import Phase
from tests.support.lease_bench import STEP_S, Bench, takeover_in_s

X, Y, Z = (StoreName(n) for n in "xyz")
WAIT_S = 6.12  # ttl·(1+d)


def joint() -> Bench:
    return Bench(3, needed="x")


def begin_renewal(bench: Bench) -> None:
    """Tick until a round of renewals waits to be delivered."""
    while not any(call.verb is Verb.RENEW for call in bench.waiting):
        bench.clock.advance(STEP_S)
        bench.tick()


def releases(bench: Bench) -> list[bool]:
    return [e.was_acknowledged for e in bench.of(Released) if isinstance(e, Released)]


# --- asking -------------------------------------------------------------------------------------


@pytest.mark.parametrize("down", ["x", "yz"], ids=["the needed one", "both others"])
def test_nothing_is_asked_while_no_quorum_is_takeable(down: str) -> None:
    """The two others are a majority, and not enough; the needed one alone is not either."""
    bench = joint()
    for name in down:
        bench.stores[StoreName(name)].set_down(True)
    bench.run(20)
    assert bench.asked_epochs == []
    assert set(bench.verbs()) == {Verb.OBSERVE}


@pytest.mark.parametrize("down", ["y", "z"])
def test_needed_store_and_one_more_are_enough(down: str) -> None:
    bench = joint()
    bench.stores[StoreName(down)].set_down(True)
    bench.run(8)
    assert bench.is_open()
    assert set(bench.machine.incarnations()) == {X, Y, Z} - {StoreName(down)}


def test_needed_store_that_a_rival_holds_is_waited_for() -> None:
    """A node of the old list leads: the two new stores are free and not touched."""
    bench = joint()
    bench.rival_takes("x", 5)
    for _ in range(20):
        bench.run(1)
        bench.rival_renews("x", 5)
    assert bench.asked_epochs == []
    assert bench.record("y").state is LeaseState.VOID
    bench.rival_releases("x", 5)
    bench.run(1)
    assert bench.is_open()
    assert bench.permit.epoch == 6


def test_attempt_that_the_needed_store_refuses_is_given_up() -> None:
    """Whatever the two others say: what they granted is released there (R7, H15)."""
    bench = joint()
    bench.disk_works = True
    while not bench.is_in(Phase.ACQUIRING):
        bench.clock.advance(STEP_S)
        bench.tick()
        for call in [c for c in bench.waiting if c.verb is Verb.OBSERVE]:
            bench.deliver_one(call)
    bench.rival_takes("x", 9)
    bench.deliver()
    assert bench.is_in(Phase.CONTENDING)
    assert not bench.of(Granted)
    assert {bench.record(name).state for name in "yz"} == {LeaseState.RELEASED}


def test_grant_needs_the_needed_store() -> None:
    """Acknowledgements of the two others open nothing; the needed one's does."""
    bench = joint()
    while not bench.is_in(Phase.ACQUIRING):
        bench.clock.advance(STEP_S)
        bench.tick()
        for call in [c for c in bench.waiting if c.verb is Verb.OBSERVE]:
            bench.deliver_one(call)
    bench.deliver("y")
    bench.deliver("z")
    assert not bench.is_open()
    bench.deliver("x")
    assert bench.is_open()


def test_countdown_is_that_of_the_needed_store() -> None:
    """A spare says when it could take over: not before the old store's record stood still."""
    bench = joint()
    bench.rival_takes("x", 5)
    bench.run(4)
    bench.rival_renews("x", 5)
    bench.run(0.5)
    assert takeover_in_s(bench) == pytest.approx(WAIT_S, abs=0.6)


# --- holding ------------------------------------------------------------------------------------


def test_renewal_counts_with_the_needed_store_and_one_more() -> None:
    """Validity is prolonged by neither the two others, nor the needed one alone."""
    bench = joint().hold()
    begin_renewal(bench)
    left_s = bench.permit.remaining_s()
    bench.deliver("y")
    bench.deliver("z")
    assert bench.permit.remaining_s() == left_s
    bench.deliver("x")
    assert bench.permit.remaining_s() > left_s
    begin_renewal(bench)
    left_s = bench.permit.remaining_s()
    bench.deliver("x")
    assert bench.permit.remaining_s() == left_s
    bench.deliver("z")
    assert bench.permit.remaining_s() > left_s


def test_holder_lapses_when_the_needed_store_is_silent() -> None:
    bench = joint().hold()
    bench.stores[X].set_down(True)
    bench.run(7)
    assert not bench.is_open()
    assert len(bench.of(Lapsed)) == 1


def test_holder_goes_on_when_one_of_the_others_is_silent() -> None:
    bench = joint().hold()
    bench.stores[Y].set_down(True)
    bench.run(30)
    assert bench.is_open()
    assert not bench.of(Lapsed)


@pytest.mark.parametrize("epoch", [50], ids=["a later epoch"])
def test_rival_in_the_needed_store_deposes(epoch: int) -> None:
    """A node of the old list holds by that store alone."""
    bench = joint().hold()
    bench.rival_takes("x", epoch)
    bench.run(1.25)
    assert not bench.is_open()
    (deposed,) = bench.of(Deposed)
    assert isinstance(deposed, Deposed)
    assert (deposed.by_epoch, deposed.by_node) == (epoch, "rival")


def test_rival_of_the_same_epoch_in_the_needed_store_deposes() -> None:
    """The store forgot, and another process was granted the very epoch there (R8)."""
    bench = joint().hold()
    bench.stores[X].flush()
    bench.rival_takes("x", bench.permit.epoch)
    bench.run(1.25)
    assert not bench.is_open()
    assert len(bench.of(Deposed)) == 1


def test_older_rival_in_the_needed_store_does_not_depose() -> None:
    """The store fell back to an older record: it is put back under this grant."""
    bench = joint()
    bench.rival_takes("x", 3)
    older = bench.stores[X].snapshot()
    bench.hold()
    bench.stores[X].rollback(older)
    bench.run(2)
    assert bench.is_open()
    assert bench.record("x").nonce == bench.me.nonce


def test_rival_in_the_two_others_deposes_and_in_one_does_not() -> None:
    """A node of the new list holds by those two."""
    bench = joint().hold()
    bench.rival_takes("y", 50)
    bench.run(3)
    assert bench.is_open()
    bench.rival_takes("z", 50)
    bench.run(1.25)
    assert not bench.is_open()
    assert len(bench.of(Deposed)) == 1


# --- giving back --------------------------------------------------------------------------------


def release(bench: Bench) -> None:
    bench.permit.close(reason="switchover")
    bench.feed(ReleaseAsked(drain_ms=0, reserved_for="", reason="switchover"))


def test_release_is_acknowledged_with_the_needed_store_only() -> None:
    """R10: without it the other node cannot take the lease over, so nothing was handed over."""
    bench = joint().hold()
    release(bench)
    bench.deliver("y")
    bench.deliver("z")
    assert releases(bench) == []
    bench.deliver("x")
    assert releases(bench) == [True]


def test_release_that_the_needed_store_never_hears_is_told_as_unacknowledged() -> None:
    bench = joint().hold()
    bench.stores[X].set_down(True)
    release(bench)
    bench.run(7)
    assert releases(bench) == [False]


# --- looking ------------------------------------------------------------------------------------


def named(bench: Bench) -> tuple[str | None, int]:
    found = bench.machine.observed.named()
    return (found.holder, found.epoch)


def test_holder_is_shown_by_the_needed_store_alone() -> None:
    """The other node still has the old list."""
    bench = joint()
    bench.rival_takes("x", 5)
    bench.run(1)
    assert named(bench) == ("rival", 5)
    assert bench.of(HolderChanged) == [HolderChanged(holder=bench.rival.node_id, epoch=5)]


def test_holder_is_shown_by_the_two_others() -> None:
    """The other node has the new list already."""
    bench = joint()
    bench.rival_takes("y", 5)
    bench.run(1)
    assert named(bench) == (None, 0)
    bench.rival_takes("z", 5)
    bench.run(1)
    assert named(bench) == ("rival", 5)


@pytest.mark.parametrize(
    ("needed_epoch", "others_epoch", "shown"),
    [
        pytest.param(5, 6, ("rival", 6), id="the new list's lease is later"),
        pytest.param(6, 5, ("me", 6), id="the old list's lease is later"),
        pytest.param(6, 6, ("rival", 6), id="one epoch: the majority"),
    ],
)
def test_of_two_that_are_named_the_later_epoch_is_shown(
    needed_epoch: int, others_epoch: int, shown: tuple[str, int]
) -> None:
    """A leader of the joint list died, and a node of the old one took over: y and z stay as is."""
    bench = joint()
    for name in "yz":
        bench.rival_takes(name, others_epoch)
    bench.rival = bench.me
    bench.rival_takes("x", needed_epoch)
    bench.run(1)
    assert named(bench) == shown


def test_majority_answers_only_with_the_needed_store() -> None:
    """What the note for the stop hook says of a death (R16)."""
    bench = joint()
    bench.run(1)
    assert bench.machine.observed.has_majority
    bench.stores[X].set_down(True)
    bench.run(3)
    assert not bench.machine.observed.has_majority


# --- when the new stores may be used --------------------------------------------------------------


def joins_in_s(bench: Bench) -> float | None:
    return bench.machine.peer_facts(bench.clock.now()).joins_in_s


def test_new_stores_are_watched_for_a_ttl_before_they_count() -> None:
    """A tombstone names nobody only once it has stood still (R5, R6)."""
    bench = joint()
    bench.rival_takes("x", 5)
    bench.run(0.25)  # the first look
    assert joins_in_s(bench) == pytest.approx(WAIT_S, abs=0.01)
    for _ in range(6):
        bench.run(1)
        bench.rival_renews("x", 5)
    left_s = joins_in_s(bench)
    assert left_s is not None
    assert 0 < left_s < 0.2
    bench.run(0.25)
    left_s = joins_in_s(bench)
    assert left_s is not None
    assert left_s <= 0


def test_one_new_store_is_enough_to_join() -> None:
    bench = joint()
    bench.stores[Z].set_down(True)
    bench.run(0.25)
    assert joins_in_s(bench) == pytest.approx(WAIT_S, abs=0.01)


def test_nothing_is_known_while_no_new_store_answers() -> None:
    bench = joint()
    for name in (Y, Z):
        bench.stores[name].set_down(True)
    bench.run(3)
    assert joins_in_s(bench) is None


def test_what_the_present_holder_has_there_counts_at_once() -> None:
    """A handover frees it: nothing has to be watched for."""
    bench = joint()
    for name in "xy":
        bench.rival_takes(name, 5)
    bench.run(0.25)
    assert joins_in_s(bench) == 0.0
    for name in "xy":
        bench.rival_releases(name, 5)
    bench.run(0.25)
    assert joins_in_s(bench) == 0.0


def test_what_a_dead_holder_left_there_is_watched_like_any_record() -> None:
    """A leader of the joint list died; a node of the old one leads: y and z name the dead one."""
    bench = joint()
    for name in "yz":
        bench.rival_takes(name, 5)
    bench.rival_takes("x", 6)
    bench.run(0.25)
    assert joins_in_s(bench) == pytest.approx(WAIT_S, abs=0.01)


@pytest.mark.parametrize("stores", [1, 3])
def test_without_a_needed_store_there_is_nothing_to_join(stores: int) -> None:
    assert joins_in_s(Bench(stores)) == 0.0

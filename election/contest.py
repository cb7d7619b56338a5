"""How a contender asks for the lease, and how it gives an attempt up (R7, R13).

Rules of this file: only takeable stores are written, each by compare-and-set on what was seen.
An answer that was lost is read back; a store that then names us is renewed first, so that validity
is counted from a send that is known to have been acknowledged.
"""

from collections.abc import Iterable

from election.calls import Farewell
from election.instants import Instant, contender_elapsed_s, holder_elapsed_s
from election.model import LeaseState, StoreName
from election.observation import Observation
from election.signals import Verb
from election.tenure import Taken, Tenure
from election.world import World


def free_and_takeable(world: World, now: Instant) -> tuple[StoreName, ...]:
    """Return the stores that an attempt could be sent to at once."""
    return tuple(
        name
        for name in world.observed.takeable(now)
        if world.calls.is_free(name) and world.observed[name].is_fresh(world.timing, now)
    )


def begin_attempt(world: World, epoch: int, stores: tuple[StoreName, ...], now: Instant) -> Tenure:
    """Send compare-and-set to the takeable stores; `now` is the send of round 0."""
    tenure = Tenure(epoch=epoch, taken=_describe(world, stores, now))
    first = tenure.begin_round(now)
    for name in stores:
        observation = world.observed[name]
        assert observation.record is not None, "takeable without a record"
        tenure.asked.add(name)
        world.calls.send(
            name,
            Verb.ACQUIRE,
            epoch=epoch,
            round_id=first.round_id,
            expected_inc=observation.inc,
            expected_wid=observation.record.wid,
        )
    return tenure


def read_back(world: World, tenure: Tenure) -> None:
    """Look again at each asked store whose answer is not known."""
    for name in _in_order(world, tenure.asked - tenure.refused_by):
        is_known = world.observed[name].shows(world.identity, tenure.epoch)
        if not is_known and world.calls.is_free(name):
            world.calls.send(name, Verb.OBSERVE, epoch=tenure.epoch)


def renew_first(world: World, tenure: Tenure, now: Instant) -> None:
    """Begin a renewal round if a majority names this attempt but was not counted (R7)."""
    mine = [o.name for o in world.observed if o.shows(world.identity, tenure.epoch)]
    free = [name for name in mine if world.calls.is_free(name)]
    if not world.observed.quorum.is_met(free):
        return
    round_ = tenure.begin_round(now)
    for name in free:
        world.calls.send(
            name,
            Verb.RENEW,
            epoch=tenure.epoch,
            round_id=round_.round_id,
            expected_inc=world.observed[name].inc,
        )


def is_too_late(world: World, tenure: Tenure, now: Instant) -> bool:
    """Tell whether the attempt's newest round could no longer open a gate."""
    return holder_elapsed_s(tenure.newest.sent, now) >= world.timing.gate_s


def give_up(world: World, tenure: Tenure, reason: str, now: Instant) -> None:
    """Release this epoch wherever it may have been granted; nothing of it is counted again."""
    for name in _in_order(world, tenure.asked - tenure.refused_by):
        inc = tenure.incs.get(name) or world.observed[name].inc
        if inc is None:
            continue
        world.calls.queue_farewell(
            name,
            Farewell(
                epoch=tenure.epoch,
                expected_inc=inc,
                drain_ms=0,
                reserved_for="",
                reason=reason,
                queued=now,
            ),
        )
    world.calls.send_farewells(now)


def _in_order(world: World, names: Iterable[StoreName]) -> list[StoreName]:
    wanted = set(names)
    return [o.name for o in world.observed if o.name in wanted]


def _describe(world: World, stores: tuple[StoreName, ...], now: Instant) -> Taken:
    """Describe what the newest of the records to be replaced says."""

    def rank(observation: Observation) -> tuple[int, int]:
        record = observation.record
        assert record is not None, "takeable without a record"
        return (record.epoch, int(record.state is LeaseState.HELD))

    newest = max((world.observed[name] for name in stores), key=rank)
    record = newest.record
    assert record is not None, "takeable without a record"
    is_held = record.state is LeaseState.HELD
    return Taken(
        previous=record.node_id or None,
        previous_epoch=record.epoch,
        was_released=record.state is LeaseState.RELEASED,
        silent_s=contender_elapsed_s(newest.since, now) if is_held and newest.since else None,
        drain_ms=record.drain_ms,
        reason=record.reason,
    )

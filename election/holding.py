"""What a holder sends, and when its grant is over (R8, R11, R13).

Rules of this file: renewals match nonce, epoch and incarnation. A store that shows something else
is re-asserted under the same epoch, by compare-and-set on what was seen: at once where this grant
was held before, elsewhere only when the record is takeable. A grant ends when its gate's time is
over; a majority that names a rival ends it at once.
"""

from election.instants import Instant, holder_elapsed_s
from election.model import LeaseRecord, LeaseState, StoreName
from election.observation import Observation
from election.signals import Verb
from election.tenure import Round, Tenure
from election.world import World

# Repairs of one store within one round: the renewal, a re-assert after its refusal, and one more
# for a record that changed in between. The next round tries again.
_ASKS_PER_ROUND = 3


def is_renewal_due(world: World, tenure: Tenure, now: Instant) -> bool:
    """Tell whether it is time for the next round (half a tick early rather than late)."""
    elapsed_s = holder_elapsed_s(tenure.newest.sent, now)
    return elapsed_s + world.tick_s / 2 >= world.timing.renew_ms / 1000


def begin_renewal(world: World, tenure: Tenure, now: Instant) -> None:
    """Begin a round and ask every store that is free."""
    round_ = tenure.begin_round(now)
    for observation in world.observed:
        ask(world, tenure, round_, observation.name, now)


def ask(world: World, tenure: Tenure, round_: Round, name: StoreName, now: Instant) -> None:
    """Send one store what it needs: renewal, re-assertion, or a look when neither is allowed."""
    if not world.calls.is_free(name) or round_.asked[name] >= _ASKS_PER_ROUND:
        return
    round_.asked[name] += 1
    observation = world.observed[name]
    if observation.shows(world.identity, tenure.epoch) and _is_of_this_life(observation):
        world.calls.send(
            name,
            Verb.RENEW,
            epoch=tenure.epoch,
            round_id=round_.round_id,
            expected_inc=observation.inc,
        )
    elif may_reassert(world, tenure, observation, now):
        assert observation.record is not None, "nothing to re-assert over"
        world.calls.send(
            name,
            Verb.REASSERT,
            epoch=tenure.epoch,
            round_id=round_.round_id,
            expected_inc=observation.inc,
            expected_wid=observation.record.wid,
        )
    else:
        world.calls.send(name, Verb.OBSERVE, epoch=tenure.epoch)


def repair(world: World, tenure: Tenure, name: StoreName, now: Instant) -> None:
    """Write again, within the newest round, to a store that showed something unexpected."""
    observation = world.observed[name]
    is_mine = observation.shows(world.identity, tenure.epoch)
    if is_mine or may_reassert(world, tenure, observation, now):
        ask(world, tenure, tenure.newest, name, now)


def may_reassert(world: World, tenure: Tenure, observation: Observation, now: Instant) -> bool:
    """Tell whether the holder may put its epoch into this store now (R8, R13)."""
    record = observation.record
    if record is None or observation.unusable is not None:
        return False
    if observation.names_rival(world.identity, tenure.epoch):
        # Held: the script would refuse, and a majority of such stores deposes us. Released: an
        # attempt that was given up on this store, written over like any takeable record.
        is_held = record.state is LeaseState.HELD
        return not is_held and world.observed.is_takeable(observation.name, now)
    if observation.shows(world.identity, tenure.epoch):
        return True
    if observation.name in tenure.held_at:
        return True
    return world.observed.is_takeable(observation.name, now)


def is_expired(world: World, tenure: Tenure, now: Instant) -> bool:
    """Tell whether the gate's time is over on the holder's clock."""
    assert tenure.counted is not None, "held without a counted round"
    return holder_elapsed_s(tenure.counted, now) >= world.timing.gate_s


def deposing(world: World, tenure: Tenure) -> LeaseRecord | None:
    """Return the rival's newest record if a majority names rivals, else None (R8)."""
    rivals = world.observed.rivals(tenure.epoch)
    if not world.observed.quorum.may_name([o.name for o in rivals]):
        return None
    records = [o.record for o in rivals if o.record is not None]
    return max(records, key=lambda record: record.epoch)


def describe_lapse(world: World, hang: str) -> str:
    """Say why no majority acknowledged, store by store."""
    if hang:
        return hang
    parts: list[str] = []
    for observation in world.observed:
        record = observation.record
        if observation.error:
            parts.append(f"{observation.name}: {observation.error}")
        elif record is not None and record.nonce != world.identity.nonce:
            whom = record.node_id if record.state is not LeaseState.VOID else "nobody"
            parts.append(f"{observation.name}: names {whom}")
        else:
            parts.append(f"{observation.name}: answered, but too late to count")
    return "no majority of the stores acknowledged a renewal in time; " + "; ".join(parts)


def _is_of_this_life(observation: Observation) -> bool:
    # After a restart that kept the data the record still carries the old incarnation: it is
    # re-asserted by compare-and-set, not renewed, for it may be older than the last renewal.
    record = observation.record
    return record is not None and record.inc == observation.inc

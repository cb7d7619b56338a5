"""One mishap after another, chosen by a seed, under one trading pair: the invariants hold."""

import random
import signal
from collections.abc import Callable

import pytest
import redis

from tests.support.pair import ETH, JETSON, PI, Pair

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SEEDS = ("1",)
MISHAPS = 8


@pytest.mark.parametrize("seed", SEEDS)
def test_mishaps_in_a_row(pair: Pair, seed: str) -> None:
    """S1-S4: after each mishap somebody trades again; at the end every log agrees."""
    dice = random.Random(f"mishaps-{seed}")
    pair.open()
    previous = ""
    for _ in range(MISHAPS):
        name = dice.choice([n for n in ACTS if n != previous])
        pair.story.say(name)
        ACTS[name](pair, dice)
        previous = name
        pair.wait(lambda: leader_of(pair), "a leader")
        wait_any_order(pair)
        wait_spare(pair)
    pair.judge()


def leader_of(pair: Pair) -> str:
    """Return the running node that trades, empty when none does."""
    return next(
        (n for n in (JETSON, PI) if pair.node(n).is_running and pair.is_active(n)),
        "",
    )


def other(node_id: str) -> str:
    return PI if node_id == JETSON else JETSON


def wait_any_order(pair: Pair) -> None:
    """Wait until an order of either node is sent from now on and accepted."""
    before = len(pair.stage.requests())
    pair.wait(
        lambda: any(
            r["method"] == "POST" and r["outcome"] == "accepted"
            for r in pair.requests(since=before)
        ),
        "an order of somebody",
    )


def wait_spare(pair: Pair) -> None:
    """Start again whoever ended, and wait until there is a fit spare."""
    for node in (JETSON, PI):
        if not pair.node(node).is_running:
            pair.start(node)
    leader = pair.wait(lambda: leader_of(pair), "a leader")
    pair.story.wait_spare(other(leader))


def kill_leader(pair: Pair, _dice: random.Random) -> None:
    victim = leader_of(pair)
    since = pair.stage.role_changes(other(victim))
    pair.kill(victim)
    pair.wait_active(other(victim), since=since)


def kill_leader_in_flight(pair: Pair, _dice: random.Random) -> None:
    victim = leader_of(pair)
    since = pair.stage.role_changes(other(victim))
    pair.hold_back_an_order(victim)
    pair.kill(victim)
    pair.stage.paper.clear_faults()
    pair.wait_active(other(victim), since=since)


def freeze_leader(pair: Pair, _dice: random.Random) -> None:
    victim = leader_of(pair)
    since = pair.stage.role_changes(other(victim))
    pair.node(victim).send(signal.SIGSTOP)
    pair.wait_active(other(victim), since=since)
    assert pair.node(victim).wait(60.0) == -signal.SIGKILL


def end_leader(pair: Pair, _dice: random.Random) -> None:
    victim = leader_of(pair)
    since = pair.stage.role_changes(other(victim))
    assert pair.node(victim).stop(60.0) == 0
    pair.wait_active(other(victim), since=since)


def end_spare(pair: Pair, _dice: random.Random) -> None:
    pair.kill(other(leader_of(pair)))


def switch(pair: Pair, _dice: random.Random) -> None:
    target = other(leader_of(pair))
    since = pair.stage.role_changes(target)
    assert pair.stage.nodectl("switchover", "--to", target).returncode == 0
    pair.wait_active(target, since=since)


def flush_a_store(pair: Pair, dice: random.Random) -> None:
    store = dice.choice(pair.stage.stores)
    with redis.Redis(
        host=store.host, port=store.port, password=store.password, protocol=2
    ) as client:
        client.flushall()


def restart_a_store(pair: Pair, dice: random.Random) -> None:
    dice.choice(pair.stage.stores).restart()


def restart_two_stores(pair: Pair, dice: random.Random) -> None:
    for store in dice.sample(pair.stage.stores, 2):
        store.restart()


def drop_answers(pair: Pair, dice: random.Random) -> None:
    """Two orders take effect, or not, and nobody says so."""
    is_processed = dice.random() < 0.5
    armed = pair.stage.paper.arm(
        "cut_json", method="POST", path="order", count=2, is_processed=is_processed
    )
    pair.wait(lambda: _hits(pair, armed) >= 1, "a lost answer")


def drop_a_cancel(pair: Pair, _dice: random.Random) -> None:
    armed = pair.stage.paper.arm("drop", method="DELETE", path="order")
    pair.wait(lambda: _hits(pair, armed) >= 1, "a lost answer to a cancel")


def restart_venue(pair: Pair, _dice: random.Random) -> None:
    pair.stage.paper.kill()
    pair.stage.paper.start()


def fill(pair: Pair, dice: random.Random) -> None:
    """Let the price fall and rise until an order was met, whichever side rests."""
    before = len(pair.venue_fills())
    for price in (dice.randrange(1950, 1990), dice.randrange(2050, 2090)):
        if len(pair.venue_fills()) == before:
            pair.stage.paper.jump(ETH, str(price))
            pair.stage.paper.advance(ETH, points=4)
    pair.stage.paper.jump(ETH, str(dice.randrange(2000, 2020)))


def _hits(pair: Pair, armed: int) -> int:
    return next((int(f["hits"]) for f in pair.stage.paper.faults() if f["id"] == armed), 1)


ACTS: dict[str, Callable[[Pair, random.Random], None]] = {
    act.__name__: act
    for act in (
        kill_leader,
        kill_leader_in_flight,
        freeze_leader,
        end_leader,
        end_spare,
        switch,
        flush_a_store,
        restart_a_store,
        restart_two_stores,
        drop_answers,
        drop_a_cancel,
        restart_venue,
        fill,
    )
}

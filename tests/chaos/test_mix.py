"""Everything at random, by a seed (scenario 46): the judge holds, and the gaps are told.

A few mishaps in CI; `make chaos-soak` goes on for `HOTSPARE_SOAK_S` seconds (half an hour) and
tells the longest time in which nobody traded. `HOTSPARE_SOAK_SEED` chooses another run.
"""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.chaos import lab_stores
from tests.chaos.lab import WITNESS, Lab
from tests.chaos.lab_stage import PHONE_HOST, VENUE_HOST
from tests.support.pair import JETSON, PI, TTL_S

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

FEW = 5
SEED = os.environ.get("HOTSPARE_SOAK_SEED", "1")
SOAK_S = float(os.environ.get("HOTSPARE_SOAK_S", "1800"))
BOXES = (JETSON, PI, WITNESS)

Mishap = Callable[[Lab, random.Random], None]


def kill_leader(lab: Lab, _dice: random.Random) -> None:
    victim = lab.leader()
    lab.pair.kill(victim)
    lab.wait_next(victim)


def kill_leader_with_an_order_in_flight(lab: Lab, _dice: random.Random) -> None:
    victim = lab.leader()
    lab.pair.hold_back_an_order(victim)
    lab.pair.kill(victim)
    lab.stage.paper.clear_faults()
    lab.wait_next(victim)


def unplug_leader(lab: Lab, _dice: random.Random) -> None:
    victim = lab.leader()
    lab.pull(victim)
    lab.wait_next(victim)
    lab.plug(victim, with_node=False)


def unplug_spare(lab: Lab, _dice: random.Random) -> None:
    victim = lab.spare()
    lab.pull(victim)
    lab.hold_still(TTL_S)
    lab.plug(victim, with_node=False)


def unplug_witness(lab: Lab, _dice: random.Random) -> None:
    lab.pull(WITNESS)
    lab.hold_still(TTL_S)
    lab.plug(WITNESS)


def stop_leader(lab: Lab, _dice: random.Random) -> None:
    victim = lab.leader()
    lab.stage.nodes[victim].send(signal.SIGSTOP)
    lab.wait_next(victim)
    assert lab.stage.nodes[victim].wait(60.0) == -signal.SIGKILL


def cut_leader(lab: Lab, _dice: random.Random) -> None:
    victim = lab.leader()
    lab.net.cut(victim)
    lab.wait_next(victim)


def cut_leader_one_way(lab: Lab, dice: random.Random) -> None:
    victim, is_deaf = lab.leader(), dice.random() < 0.5
    for box in BOXES:
        if box != victim:
            lab.net.block(*((box, victim) if is_deaf else (victim, box)))
    lab.wait_next(victim)


def cut_boxes_apart(lab: Lab, _dice: random.Random) -> None:
    lab.net.part([JETSON], [PI])
    lab.hold_still(1.5 * TTL_S)


def cut_phone(lab: Lab, _dice: random.Random) -> None:
    lab.net.cut(PHONE_HOST)
    lab.hold_still(TTL_S)


def cut_venue_for_a_moment(lab: Lab, dice: random.Random) -> None:
    ways = [(JETSON, VENUE_HOST), (VENUE_HOST, JETSON), (PI, VENUE_HOST), (VENUE_HOST, PI)]
    with lab.net.blocked(*dice.sample(ways, dice.randint(1, 4))):
        lab.hold_still(TTL_S)


def flush_a_store(lab: Lab, dice: random.Random) -> None:
    lab_stores.flush(dice.choice(lab.stage.stores))


def flush_every_store(lab: Lab, _dice: random.Random) -> None:
    for store in lab.stage.stores:
        lab_stores.flush(store)


def restart_stores(lab: Lab, dice: random.Random) -> None:
    for store in dice.sample(lab.stage.stores, dice.randint(1, 3)):
        if dice.random() < 0.5:
            store.save()
            store.restart(keep=True)
        else:
            store.restart()


def freeze_a_store(lab: Lab, dice: random.Random) -> None:
    with lab_stores.frozen(dice.choice(lab.stage.stores)):
        lab.hold_still(dice.uniform(0.5, 1.5) * TTL_S)


def switch_over(lab: Lab, _dice: random.Random) -> None:
    victim = lab.leader()
    done = lab.stage.nodectl("switchover", "--to", lab.spare())
    assert done.returncode == 0, done.stderr
    lab.wait_next(victim)


MISHAPS: tuple[Mishap, ...] = (
    kill_leader,
    kill_leader_with_an_order_in_flight,
    unplug_leader,
    unplug_spare,
    unplug_witness,
    stop_leader,
    cut_leader,
    cut_leader_one_way,
    cut_boxes_apart,
    cut_phone,
    cut_venue_for_a_moment,
    flush_a_store,
    flush_every_store,
    restart_stores,
    freeze_a_store,
    switch_over,
)


def test_few_mishaps(lab: Lab) -> None:
    """S1-S5, L1: after each mishap somebody trades and somebody could take over."""
    with telling_gaps(lab):
        play(lab, random.Random(f"mix-{SEED}"), lambda count: count >= FEW)


@pytest.mark.soak
@pytest.mark.timeout(SOAK_S + 900)
def test_mishaps_for_long(lab: Lab) -> None:
    """46: the same for long."""
    end_s = time.monotonic() + SOAK_S
    with telling_gaps(lab):
        play(lab, random.Random(f"soak-{SEED}"), lambda _count: time.monotonic() > end_s)


def play(lab: Lab, dice: random.Random, is_over: Callable[[int], bool]) -> None:
    lab.pair.open()
    count = 0
    while not is_over(count):
        mishap = dice.choice(MISHAPS)
        count += 1
        lab.pair.story.say(f"{count}: {mishap.__name__}, {lab.leader()} leads")
        mishap(lab, dice)
        lab.net.heal()
        lab.net.clear()
        for node in (JETSON, PI):
            if not lab.stage.nodes[node].is_running:
                lab.pair.start(node)
        lab.wait_pair()
        lab.pair.wait_order(lab.leader())
    lab.judge()


@contextmanager
def telling_gaps(lab: Lab) -> Iterator[None]:
    """Tell at the end how often and how long nobody was active."""
    yield
    gaps = sorted(float(e["gap_s"]) for n in (JETSON, PI) for e in _takeovers(lab, n))
    longest = gaps[-1] if gaps else 0.0
    lab.pair.story.say(
        f"{len(gaps)} takeovers, {len(lab.pulled)} plugs pulled, longest gap {longest:.1f} s, "
        f"median {gaps[len(gaps) // 2] if gaps else 0.0:.1f} s, 0 overlaps"
    )


def _takeovers(lab: Lab, node: str) -> list[dict[str, Any]]:
    """Return the reports of takeovers from somebody, not of the first start."""
    return [e for e in lab.pair.events(node, "takeover.finished") if e.get("gap_s") is not None]

"""The Pi's SD card dies while the Jetson trades alone under its promise (R14, ADR 0031)."""

import json
import shutil

import pytest

from tests.chaos.conftest import LabMaker
from tests.chaos.lab import Lab
from tests.support.pair import JETSON, PI, TTL_S, plan_of

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

STILL_S = 4 * TTL_S  # a contender that believes in an empty store leads after one


def new_card(lab: Lab) -> None:
    """Give the Pi an empty card, set up anew from cluster.toml, without the key."""
    shutil.rmtree(lab.stage.directory / "state" / PI)
    secrets = lab.stage.directory / "secrets" / f"{PI}.toml"
    text = secrets.read_text()
    start = text.index("[peer]")
    secrets.write_text(text[:start] + text[text.index("[", start + 1) :])


def doubts(lab: Lab) -> bool:
    """Tell whether the Pi says that its disk remembers nothing."""
    found = lab.pair.events(PI, "eligibility.changed")
    return bool(found) and "remembers nothing" in str(found[-1]["reasons"])


def test_card_without_key_never_leads_beside_a_leader_that_trades_alone(
    make_lab: LabMaker,
) -> None:
    """S1: cut off from the leader, with an empty store on its own box, the new card waits."""
    lab = make_lab(plan_of(stores=1, has_peers=True))
    lab.pair.open()
    said = lab.stage.nodectl("stand-down", "--node", PI, "--json")
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["code"] == "done"
    lab.pair.wait_event(JETSON, "promise.relied")
    lab.pull(PI)
    lab.pair.wait_event(JETSON, "store.lost")
    epochs = lab.pair.epochs(JETSON)

    new_card(lab)
    lab.net.part([JETSON], [PI])  # another cable, another address: it is not in the leader's LAN
    lab.plug(PI)
    lab.pair.wait(lambda: doubts(lab), "the Pi to know that it does not know")
    lab.hold_still(STILL_S)
    lab.pair.wait_order(JETSON)
    assert not lab.pair.epochs(PI)

    # Together again: the leader's own word keeps the Pi out for as long as it relies.
    lab.net.heal()
    lab.net.clear()
    lab.pair.wait_event(JETSON, "store.back")
    lab.hold_still(STILL_S)
    assert not lab.pair.epochs(PI)
    assert lab.pair.epochs(JETSON) == epochs

    # The leader's process ends, and with it what it relied on: its next one denies it.
    assert lab.stage.nodes[JETSON].stop(60.0) == 0
    lab.pair.start(JETSON)
    lab.pair.wait_event(PI, "promise.ended")
    lab.pair.wait(lambda: lab.leader() == JETSON, "the Jetson to trade")
    lab.pair.story.wait_spare(PI)
    lab.judge()


def test_fresh_pair_without_the_endpoint_begins_by_itself(make_lab: LabMaker) -> None:
    """Two empty cards that were never told of each other's endpoint: both must run once."""
    lab = make_lab(plan_of(stores=1))
    for node in (JETSON, PI):
        shutil.rmtree(lab.stage.directory / "state" / node)
    lab.pair.start(JETSON)
    lab.hold_still(STILL_S)
    assert not lab.pair.epochs(JETSON)
    lab.pair.start(PI)
    lab.wait_pair()
    lab.pair.wait_order(lab.leader())
    lab.judge()

"""Two boxes become three stores, trading on while everything breaks off; then the Pi's plug."""

import json
from pathlib import Path
from typing import Any

import pytest

from node.demo.checker import check_run, load_run, render
from tests.deploy.conftest import HomeMaker
from tests.deploy.home import JETSON, MOVED, PI, ROOT, WITNESS, Home
from tests.deploy.test_drive import changes_of

pytestmark = [pytest.mark.boxes, pytest.mark.timeout(2400)]

BREAKS = (
    "changed packages",
    "switching to the joint list",
    "saying on both disks",
    "switching to the new list",
    "moving the old store",
)
"""Lines after which the laptop is lost: before, and at each step of, the change of the list."""
COUNTS_FROM = BREAKS[3]  # from here on the laptop's file has the new list


def events(home: Home, *names: str) -> list[dict[str, Any]]:
    """Return what both nodes logged under these names, oldest first."""
    lines = [line for log in home.node_logs() for line in log.read_text().splitlines()]
    found = [event for event in map(json.loads, lines) if event.get("event") in names]
    return sorted(found, key=lambda event: str(event["ts"]))


def wait_order(home: Home, node_id: str) -> None:
    """Wait for an order of a node that the exchange accepts from now on."""
    since = len(home.requests())

    def is_there() -> bool:
        return any(
            r["type"] == "request" and r["key"] == node_id and r["outcome"] == "accepted"
            for r in home.requests()[since:]
            if r.get("method") == "POST"
        )

    home.wait(is_there, f"an order of {node_id}")


def judge(home: Home, *earlier: Path) -> None:
    """Stand the market still, end both nodes, and read every log: no two traders, nothing lost.

    `earlier` are logs of cards that are gone.
    """
    assert home.venue is not None
    with home.net.hub.entered():  # only from the desk is it steered
        home.venue.pause(MOVED)
    for name in (PI, JETSON):
        home.boxes[name].run("systemctl stop hotspare-node.service")
    verdict = check_run(load_run(home.venue.log_path, [*earlier, *home.node_logs()]))
    assert verdict.holds, render(verdict)


def test_standby_first_then_a_witness_and_the_pis_plug(make_home: HomeMaker) -> None:
    home = make_home(jetson="bookworm", raspberrypi="trixie", witness="bookworm", has_venue=True)
    archive = home.environ["PYTHON_ARCHIVE_FOR_OLD"]
    first = home.must("deploy-standby")
    assert "fine so far, waiting for the other: make deploy-primary" in first
    home.must("deploy-primary", PYTHON_ARCHIVE=archive)
    leader = home.wait_trading(PI)
    wait_order(home, leader)

    text = (home.cluster / "cluster.toml").read_text()
    dry = home.must("deploy-witness", DRY_RUN="1")
    assert '+topology = "three-stores"' in dry
    assert "nothing was touched" in dry
    assert not [secret for secret in home.secrets if secret in dry]
    assert home.boxes[WITNESS].ssh("ls /etc/hotspare").returncode != 0
    assert (home.cluster / "cluster.toml").read_text() == text

    before = len(events(home, "lease.granted"))
    for words in BREAKS:
        home.break_off("deploy-witness", words, YES="1")
        is_told = (home.cluster / "cluster.toml").read_text() != text
        assert is_told == (BREAKS.index(words) >= BREAKS.index(COUNTS_FROM)), words
        wait_order(home, home.wait_trading(PI))
    said = home.must("deploy-witness", YES="1")
    assert f"three stores; {leader} leads (trading), spare:" in said
    # trading on: each leader handed over in order, and nobody ever paused the pair
    granted = events(home, "lease.granted")[before:]
    assert [e["was_released"] for e in granted] == [True] * len(granted)
    assert {str(e["node"]) for e in granted} == {PI, JETSON}
    assert not events(home, "latch.paused", "lease.lapsed")
    assert "other config" not in home.told()
    leader = home.wait_trading(PI)
    wait_order(home, leader)
    again = home.must("deploy-witness")
    assert (changes_of(again), "nothing to change" in again) == ([], True), again

    # settings with another list are no upgrade
    grown = (home.cluster / "cluster.toml").read_text()
    (home.cluster / "cluster.toml").write_text(text)
    made = home.make("deploy-standby", ROOT, {})
    assert (made.code, "names other stores" in made.said) == (2, True), made.said
    (home.cluster / "cluster.toml").write_text(grown)

    if leader != JETSON:
        home.boxes[PI].ssh("nodectl switchover --to jetson")
        home.wait_trading(JETSON, JETSON)
    proof = home.boxes[PI].pull()
    assert proof.is_silent
    for _ in range(2):  # the store beside it is gone too, and two are a majority
        wait_order(home, JETSON)
    assert home.leader(JETSON) == JETSON
    home.boxes[PI].plug()
    assert home.wait_trading(JETSON) == JETSON
    judge(home)

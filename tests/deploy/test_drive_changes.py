"""Changing what runs while the pair trades: upgrade, a broken one, strategy, rollback.

Secrets are looked for all the while: in every command line, in what is printed, in logs, and in
what anybody may read.
"""

import sys
from pathlib import Path

import pytest

from tests.deploy.checkouts import checkout
from tests.deploy.conftest import HomeMaker
from tests.deploy.home import JETSON, PI, ROOT, Home
from tests.deploy.looks import (
    ProcessWatch,
    accepted,
    handovers,
    logged,
    longest_gap_s,
    readable_by_all,
)
from tests.deploy.test_drive import changes_of
from tests.deploy.test_drive_witness import judge, wait_order
from tests.support.pair import MOVER_FILE

pytestmark = [pytest.mark.boxes, pytest.mark.timeout(2400)]

DIES = "    settings = open_config(config, profile)\n"
BROKEN = {"node/cli/run.py": (DIES, f'    raise RuntimeError("broken on purpose")\n{DIES}')}


def change(home: Home, target: str, where: Path) -> str:
    """Change both nodes and expect one switchover, and orders before and after it."""
    before = home.wait_trading(PI)
    wait_order(home, before)
    since = len(home.requests())
    made = home.make(target, where, {})
    assert made.code == 0, made.said
    after = home.wait_trading(PI)
    assert after != before
    wait_order(home, after)
    orders = accepted(home, since=since)
    sys.stdout.write(f"{target}: longest time without an order {longest_gap_s(orders):.1f} s\n")
    assert handovers(orders) == 1, orders
    return made.said


def versions(home: Home) -> dict[str, str]:
    """Return which version each box runs."""
    said = {n: home.boxes[n].ssh("nodectl version").stdout for n in (JETSON, PI)}
    return {name: text.split()[1] for name, text in said.items()}


def test_change_it_while_it_trades(make_home: HomeMaker, tmp_path: Path) -> None:
    home = make_home(jetson="bookworm", raspberrypi="trixie", has_venue=True)
    with ProcessWatch(home.secrets) as watch:
        said = deploy_broken_off(home)
        said += change(home, "upgrade", checkout(tmp_path / "new", "0.1.1", {}))
        assert set(versions(home).values()) == {"0.1.1"}
        said += refuse_the_broken_one(home, checkout(tmp_path / "broken", "0.1.2", BROKEN))
        said += change(home, "rollback", ROOT)
        assert set(versions(home).values()) == {"0.1.0"}
        strategy = home.cluster / MOVER_FILE
        strategy.write_text(strategy.read_text().replace('"0.97"', '"0.96"'))
        said += change(home, "deploy-strategy", ROOT)
        again = home.must("upgrade")
        assert (changes_of(again), again.count("runs it already")) == ([], 2), again
    assert watch.rounds > 100
    assert any(b"deploy" in line for line in watch.seen)
    assert not watch.shown
    assert not [secret for secret in home.secrets if secret in said]
    for name in (JETSON, PI):
        assert not readable_by_all(home.boxes[name], home.secrets), name
        assert not logged(home.boxes[name], home.secrets), name
    judge(home)


def deploy_broken_off(home: Home) -> str:
    """Lose the laptop in the middle of each deployment, and type it again."""
    said = ""
    archive = {"PYTHON_ARCHIVE": home.environ["PYTHON_ARCHIVE_FOR_OLD"]}
    for target, variables, words in (
        ("deploy-primary", archive, "building the environment"),
        ("deploy-standby", {}, "changed packages"),
        ("deploy-standby", {}, "changed running hotspare-store"),
    ):
        said += home.break_off(target, words, **variables)
    said += home.must("deploy-standby")
    said += home.must("deploy-primary", **archive)
    return said


def refuse_the_broken_one(home: Home, broken: Path) -> str:
    """The spare does not come up and is put back; the leader leads on and is not touched."""
    leader = home.wait_trading(PI)
    epoch, since = home.status(PI)["epoch"], len(home.requests())
    made = home.make("upgrade", broken, {})
    assert made.code == 2, made.said
    assert "it was put back and is well again" in made.said
    assert "broken on purpose" not in str(home.status(PI))
    assert home.wait_trading(PI) == leader
    assert home.status(PI)["epoch"] == epoch
    wait_order(home, leader)
    assert {key for _, key in accepted(home, since=since)} == {leader}
    assert set(versions(home).values()) == {"0.1.1"}
    return made.said

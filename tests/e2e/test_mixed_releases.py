"""Pairs of an old and a new release: updates there and back, and failovers between the two.

Real nodes, real stores, the paper exchange; every run ends with the judge, who reads the logs.
"""

from collections.abc import Mapping

import pytest

from tests.e2e.conftest import PairMaker
from tests.support.older_release import VERSION, HistoryMissing, environ_of, older_tree
from tests.support.pair import JETSON, PI, Pair, plan_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


# What a node says when it cannot read something that the other one, or its former self, wrote.
CANNOT_READ = (
    "alert.outbox_damaged",
    "journal.corrupt",
    "latch.unreadable",
    "lease.anomaly",
    "member.unpublished",
    "node.crashed",
)


@pytest.fixture
def older(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Environment in which a node runs the release before this one."""
    try:
        return environ_of(older_tree(tmp_path_factory.mktemp("older")))
    except HistoryMissing as error:
        pytest.skip(str(error))


def assert_understood(pair: Pair) -> None:
    """Neither node found anything that it could not read."""
    said = [(n, e) for n in (JETSON, PI) for name in CANNOT_READ for e in pair.events(n, name)]
    assert not said


def switch(pair: Pair, target: str) -> None:
    """Hand over as a person asks for it; the new leader adopts what rests, and trades."""
    pair.wait_resting()  # else there may be nothing to adopt
    since = pair.stage.role_changes(target)
    adopted = len(pair.events(target, "order.adopted"))
    switched = pair.stage.nodectl("switchover", "--to", target)
    assert switched.returncode == 0, switched.stderr
    pair.wait_active(target, since=since)
    pair.wait_order(target)
    assert len(pair.events(target, "order.adopted")) > adopted


def restart_as(pair: Pair, node_id: str, environ: Mapping[str, str] | None) -> None:
    """End a standby in order and start it again as another release, on the same disk."""
    assert pair.node(node_id).stop(60.0) == 0
    pair.start(node_id, environ=environ)
    pair.story.wait_spare(node_id)


def test_rolling_update_there(pair: Pair, older: Mapping[str, str]) -> None:
    """Scenario 32: update the spare, hand over to it, update the other; a pause passes both."""
    pair.start(JETSON, environ=older)
    pair.wait_active(JETSON)
    pair.start(PI, environ=older)
    pair.story.wait_spare(PI)
    pair.wait_resting()
    pair.fill_some()
    assert {pair.member(node)["version"] for node in (JETSON, PI)} == {VERSION}

    restart_as(pair, PI, None)
    assert pair.member(PI)["version"] != VERSION
    pair.fill_some()
    switch(pair, PI)
    paused = pair.stage.nodectl("pause", "--reason", "while we update")
    assert paused.returncode == 0, paused.stderr
    pair.wait(lambda: pair.member(JETSON)["is_paused"], "the older release to see the pause")
    restart_as_paused(pair, JETSON, None)
    resumed = pair.stage.nodectl("resume")
    assert resumed.returncode == 0, resumed.stderr
    pair.story.wait_spare(JETSON)
    pair.wait_order(PI)
    assert_understood(pair)
    pair.judge()


def restart_as_paused(pair: Pair, node_id: str, environ: Mapping[str, str] | None) -> None:
    """As `restart_as`, while the cluster is paused: no spare is fit then."""
    assert pair.node(node_id).stop(60.0) == 0
    pair.start(node_id, environ=environ)
    pair.wait(lambda: pair.member(node_id).get("is_paused"), f"{node_id} to see the pause")


def test_rolling_update_back(pair: Pair, older: Mapping[str, str]) -> None:
    """Scenario 32: the update is taken back: what the newer release wrote, the older one reads."""
    pair.open()
    pair.fill_some()
    restart_as(pair, PI, older)
    assert pair.member(PI)["version"] == VERSION
    pair.fill_some()
    switch(pair, PI)
    pair.fill_some()
    restart_as(pair, JETSON, older)
    switch(pair, JETSON)
    assert_understood(pair)
    pair.judge()


@pytest.mark.parametrize("is_holder_older", [True, False], ids=["older-dies", "newer-dies"])
def test_failover_between_releases(
    pair: Pair, older: Mapping[str, str], *, is_holder_older: bool
) -> None:
    """Scenario 32, S3: a holder of one release dies with an order in flight, the other goes on."""
    pair.start(JETSON, environ=older if is_holder_older else None)
    pair.wait_active(JETSON)
    pair.start(PI, environ=None if is_holder_older else older)
    pair.story.wait_spare(PI)
    pair.wait_resting()
    pair.fill_some()
    in_flight = pair.hold_back_an_order(JETSON)
    pair.kill(JETSON)
    pair.stage.paper.clear_faults()

    report = pair.wait_active(PI)
    pair.wait_order(PI)
    assert report["previous"] == JETSON
    assert in_flight in pair.accounted_for(PI)
    # And the dead one comes back as the other release, on the disk that its former self left.
    pair.start(JETSON, environ=None if is_holder_older else older)
    pair.story.wait_spare(JETSON)
    assert_understood(pair)
    pair.judge()


def without_peer(text: str) -> str:
    """Return a configuration or secrets file as it was before the nodes spoke directly."""
    lines, section = [], ""
    for line in text.splitlines():
        section = line if line.startswith("[") else section
        is_address = section.startswith("[nodes.") and line.startswith(("host", "peer_port"))
        if section != "[peer]" and not is_address:
            lines.append(line)
    return "\n".join(lines)


@pytest.mark.parametrize("stores", [3, 1])
def test_update_that_adds_the_peer_endpoint(
    make_pair: PairMaker, older: Mapping[str, str], stores: int
) -> None:
    """Scenario 32, R13: the updated spare speaks directly, the older leader cannot: it takes over.

    When the other one is updated too they agree, as if it had always been so.
    """
    pair = make_pair(plan_of(stores=stores, has_peers=True))
    stage = pair.stage
    secrets = {n: stage.directory / "secrets" / f"{n}.toml" for n in (JETSON, PI)}
    kept = {node: path.read_text() for node, path in secrets.items()}
    plain = stage.directory / "before.toml"
    plain.write_text(without_peer(stage.config_path.read_text()))
    for node, path in secrets.items():
        path.write_text(without_peer(kept[node]))
    pair.start(JETSON, environ=older, config=plain)
    pair.wait_active(JETSON)
    pair.start(PI, environ=older, config=plain)
    pair.story.wait_spare(PI)

    secrets[PI].write_text(kept[PI])
    restart_as(pair, PI, None)
    pair.wait_resting()
    pair.kill(JETSON)
    pair.wait_active(PI)
    pair.wait_order(PI)
    secrets[JETSON].write_text(kept[JETSON])
    pair.start(JETSON)
    pair.story.wait_spare(JETSON)
    pair.wait_event(JETSON, "peer.heard")
    switch(pair, JETSON)
    assert_understood(pair)
    pair.judge()

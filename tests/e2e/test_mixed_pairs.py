"""Pairs whose nodes differ: old and new release, other ttl, a copied card, a second cluster.

Real nodes, real stores, the paper exchange; every run ends with the judge, who reads the logs.
"""

import contextlib
import functools
import json
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from election.peek import StorePeek
from exchange.identity import IdParts, cluster_tag, decode
from node.demo.checker import check_run, load_run, render
from node.demo.node_process import NodeProcess
from tests.e2e.conftest import PairMaker
from tests.support.older_release import VERSION, HistoryMissing, environ_of, older_tree
from tests.support.pair import JETSON, PI, TTL_S, Pair, mover_part, plan_of
from tests.support.second_cluster import SecondCluster

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


# --- old and new release -------------------------------------------------------------------------


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
    resolved = [
        e["client_order_id"]
        for name in ("order.resolved", "order.adopted", "order.done")
        for e in pair.events(PI, name)
    ]
    assert in_flight in resolved
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


# --- different ttl -------------------------------------------------------------------------------

LONG_TTL_S = 6.0


def with_ttl(pair: Pair, ttl_s: float) -> Path:
    """Write a variant of the configuration with another ttl beside the first."""
    text = pair.stage.config_path.read_text()
    old = f"ttl_ms = {TTL_S * 1000:.0f}"
    assert old in text
    path = pair.stage.directory / f"ttl-{ttl_s:.0f}.toml"
    path.write_text(text.replace(old, f"ttl_ms = {ttl_s * 1000:.0f}"))
    return path


@pytest.mark.parametrize("who_is_long", ["holder", "contender"])
def test_the_longer_ttl_counts(pair: Pair, who_is_long: str) -> None:
    """R6, scenario 31: whoever has the longer ttl, nobody takes the lease before it is over."""
    pair_open_with(
        pair,
        holder=with_ttl(pair, LONG_TTL_S) if who_is_long == "holder" else None,
        contender=with_ttl(pair, LONG_TTL_S) if who_is_long == "contender" else None,
    )
    ttls = {s.record.ttl_ms for s in pair.stage.peek().stores if s.record is not None}
    assert ttls == {round(1000 * (LONG_TTL_S if who_is_long == "holder" else TTL_S))}
    pair.kill(JETSON)
    pair.wait_active(PI)
    granted = pair.events(PI, "lease.granted")[-1]
    assert granted["silent_s"] >= LONG_TTL_S
    pair.wait_order(PI)
    pair.judge()


def pair_open_with(pair: Pair, *, holder: Path | None, contender: Path | None) -> None:
    """Open the pair, each node with its own configuration file."""
    pair.start(JETSON, config=holder)
    pair.wait_active(JETSON)
    pair.start(PI, config=contender)
    pair.story.wait_spare(PI)
    pair.wait_resting()


# --- a copied card -------------------------------------------------------------------------------


@contextlib.contextmanager
def copied_box(pair: Pair, node_id: str, state_dir: str = "copied-state") -> Iterator[NodeProcess]:
    """Another box from a copy of a node's card: same id, same keys, the whole state directory."""
    stage = pair.stage
    shutil.copytree(
        stage.directory / "state" / node_id,
        stage.directory / state_dir / node_id,
        ignore=shutil.ignore_patterns("log"),
    )
    copy = NodeProcess(stage.config_path, node_id, state_dir=state_dir)
    try:
        yield copy
    finally:
        copy.stop()


def duplicates(node: NodeProcess) -> list[str]:
    return [e["reason"] for e in node.events("member.duplicate")]


@pytest.mark.parametrize("node_id", [JETSON, PI], ids=["of-the-holder", "of-the-spare"])
def test_copied_card_refuses_to_start(pair: Pair, node_id: str) -> None:
    """R1, scenario 30: with the whole state directory copied, the second box refuses in words."""
    pair.open()
    before = {node: pair.stage.role_changes(node) for node in (JETSON, PI)}
    with copied_box(pair, node_id) as copy:
        copy.start()
        assert copy.wait(90.0) == 1
        (said,) = duplicates(copy)
    assert f"another living process uses the node id {node_id}" in said
    assert "SD card" in said
    assert {node: pair.stage.role_changes(node) for node in (JETSON, PI)} == before
    pair.wait_order(JETSON)
    pair.judge()


def test_copied_card_may_start_when_the_first_has_died(pair: Pair) -> None:
    """R1, scenario 30: the copy is the replacement of a dead box, with what the card remembers."""
    pair.open()
    pair.fill_some()
    pair.kill(JETSON)
    pair.wait_active(PI)
    with copied_box(pair, JETSON) as copy:
        copy.start()
        pair.story.wait_spare(JETSON)
        assert not duplicates(copy)
        # It is the Jetson now: asked to, it takes over.
        switched = pair.stage.nodectl("switchover", "--to", JETSON)
        assert switched.returncode == 0, switched.stderr
        pair.wait(
            lambda: any(e["to"] == "active" for e in copy.events("role.changed")),
            "the replacement to trade",
        )
        pair.wait_order(JETSON)
        # The first box is plugged in again: it is the copy now, and refuses.
        pair.node(JETSON).start()
        assert pair.node(JETSON).wait(90.0) == 1
        assert duplicates(pair.node(JETSON))
        copy.send(signal.SIGTERM)
        assert copy.wait(60.0) == 0
    pair.wait(lambda: pair.is_active(PI), "the Pi to go on")
    # Its log lies elsewhere; the venue's and the Pi's still tell one story.
    pair.wait_order(PI)


def test_copied_card_started_at_the_same_instant(pair: Pair) -> None:
    """R1, scenario 30: after a power cut both boots find nobody; one of the two still ends.

    Neither can see the other when it looks at its start, so they must go on looking.
    """
    pair.start(JETSON)
    pair.wait_active(JETSON)
    since = pair.stage.role_changes(JETSON)
    assert pair.node(JETSON).stop(60.0) == 0
    first = pair.node(JETSON)
    with copied_box(pair, JETSON) as copy:
        both = (first, copy)
        for node in both:
            node.start()
        ended = pair.wait(
            lambda: [n for n in both if not n.is_running], "one of the two to end", timeout_s=180
        )
        assert len(ended) == 1
        assert ended[0].wait() == 1
        (said,) = duplicates(ended[0])
        assert "SD card" in said
        left = copy if ended[0] is first else first

        def trades() -> bool:
            roles = [e["to"] for e in left.events("role.changed")]
            return roles[since if left is first else 0 :][-1:] == ["active"]

        pair.wait(trades, "the other one to trade")
        assert not duplicates(left)
        epochs = [e["lease_epoch"] for n in both for e in n.events("lease.granted")]
        assert len(epochs) == len(set(epochs))
        pair.wait_order(JETSON)


# --- two clusters in one Redis -------------------------------------------------------------------


def test_two_clusters_in_the_same_stores(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scenario 48: leases, latches, members, journals and order ids of two clusters are apart."""
    pair.open()
    plan = replace(plan_of(mover_part()), profile="test")
    with SecondCluster(tmp_path / "second", plan, beside=pair.stage) as second:
        other = Pair(second)
        everything = pair.stage.requests
        for stage in (pair.stage, second):
            own = functools.partial(lines_of, everything, cluster_tag(stage.cluster_id))
            monkeypatch.setattr(stage, "requests", own)
        other.start(JETSON)
        other.wait_active(JETSON)
        other.start(PI)
        other.story.wait_spare(PI)
        other.wait_order(JETSON)

        # A pause of one is none of the other's; a failover neither.
        paused = pair.stage.nodectl("pause", "--reason", "only here")
        assert paused.returncode == 0, paused.stderr
        pair.wait(lambda: pair.member(JETSON)["is_paused"], "the first cluster to pause")
        changes = [pair.stage.role_changes(n) for n in (JETSON, PI)]
        other.kill(JETSON)
        other.wait_active(PI)
        other.wait_order(PI)
        assert not other.member(PI)["is_paused"]
        assert [pair.stage.role_changes(n) for n in (JETSON, PI)] == changes
        assert pair.holders() == [(JETSON, 1)] * 3
        assert other.holders() == [(PI, 2)] * 3
        assert_apart(pair, other)
        resumed = pair.stage.nodectl("resume")
        assert resumed.returncode == 0, resumed.stderr
        pair.wait_order(JETSON)
        # They share an account: each sees the other's orders there, and calls them foreign.
        assert pair.events(JETSON, "order.foreign")
        for each in (other, pair):
            each.story.close()
            judge_alone(each)
    placed = {p.cluster_tag for line in everything() if (p := parts_of(line)) is not None}
    assert placed == {cluster_tag(each.stage.cluster_id) for each in (pair, other)}


def parts_of(line: Mapping[str, Any]) -> IdParts | None:
    """Return what a line of the venue's log says about the order's owner."""
    return decode(line.get("client_order_id") or "")


def lines_of(everything: Callable[[], list[dict[str, Any]]], mine: str) -> list[dict[str, Any]]:
    """Return the venue's lines without those about the other cluster's orders."""
    return [
        line
        for line in everything()
        if (parts := parts_of(line)) is None or parts.cluster_tag == mine
    ]


def judge_alone(pair: Pair) -> None:
    """Let the logs testify about one cluster; the account's balance belongs to both."""
    stage = pair.stage
    path = stage.directory / f"venue-of-{stage.cluster_id}.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in stage.requests()))
    verdict = check_run(load_run(path, [node.log_path for node in stage.nodes.values()]))
    broken = {finding.name for finding in verdict.findings if not finding.holds}
    assert broken <= {"positions = sum of fills"}, render(verdict)


def assert_apart(pair: Pair, other: Pair) -> None:
    """Nothing that one cluster keeps in a store or at the venue bears the other's name."""

    def keeps(store: StorePeek) -> dict[str, Any]:
        return {"latches": set(store.control), "documents": set(store.documents)}

    assert "pause" in keeps(pair.stage.peek().stores[0])["latches"]
    assert "pause" not in keeps(other.stage.peek().stores[0])["latches"]
    tags = {}
    for each in (pair, other):
        intents = {
            key.partition(":")[2]
            for documents in each.documents()
            for key in documents
            if key.startswith("intent:")
        }
        found = {parts.cluster_tag for text in intents if (parts := decode(text)) is not None}
        assert found <= {cluster_tag(each.stage.cluster_id)}
        tags[each.stage.cluster_id] = found
    assert len(tags) == 2


# --- a replaced store ----------------------------------------------------------------------------


def test_new_empty_server_at_the_same_address(make_pair: PairMaker) -> None:
    """R5, R11: another machine with an empty Redis takes the only store's address: no failover."""
    pair = make_pair(plan_of(stores=1))
    pair.open()
    pair.fill_some()
    before = [pair.stage.role_changes(node) for node in (JETSON, PI)]
    (store,) = pair.stage.stores
    store.restart()
    pair.wait_event(JETSON, "store.reincarnated", store=store.name)
    pair.wait(lambda: pair.holders() == [(JETSON, 1)], "the holder to re-assert")
    pair.wait(lambda: "state:ETH/USDT" in pair.documents()[0], "the journal to be pushed again")
    pair.wait_order(JETSON)
    assert [pair.stage.role_changes(node) for node in (JETSON, PI)] == before
    # What it was given serves a failover.
    pair.kill(JETSON)
    pair.wait_active(PI)
    assert pair.events(PI, "order.adopted")
    pair.judge()

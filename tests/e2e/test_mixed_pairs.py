"""Pairs that differ from the usual: another ttl, a second cluster, a replaced store.

Real nodes, real stores, the paper exchange; every run ends with the judge, who reads the logs.
"""

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from election.peek import StorePeek
from exchange.identity import IdParts, cluster_tag, decode
from node.demo.checker import check_run, load_run, render
from tests.e2e.conftest import PairMaker
from tests.support.pair import JETSON, PI, TTL_S, Pair, mover_part, plan_of
from tests.support.second_cluster import SecondCluster

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


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

"""Two posts on loopback, with their own threads: what they notice and mind by themselves."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from election.heartbeat import Heartbeat
from election.model import Identity, NodeId
from election.promise import (
    NOT_KNOWN,
    NOTHING_PROMISED,
    Promise,
    PromiseMemory,
    PromiseState,
    describe,
)
from election.promise_file import DiskPromiseFile
from election.signals import PromiseTaken, StandDown
from node import peer_mind, peer_post
from node.demo.stores import free_port
from node.peer_post import PeerPost
from tests.support.lease_bench import Bench, someone
from tests.support.peer_rig import KEY, NODES, SteppedHeartbeat
from tests.support.status_cases import TWO, make_config

DEADLINE_S = 30.0


class World:
    """A holder and a standby, each with a post; the test moves the machines' clock."""

    def __init__(self, folder: Path) -> None:
        text = TWO.replace("two-boxes", "single-host").replace("192.168.1.12", "127.0.0.1")
        for node in NODES:
            place = f'[nodes.{node}]\nhost = "127.0.0.1"\npeer_port = {free_port()}\n'
            text = text.replace(f"[nodes.{node}]\n", place)
        self.config, self.folder = make_config(folder, text), folder
        self.holder = SteppedHeartbeat(Bench(me=self.who("jetson")).hold())
        self.standby = SteppedHeartbeat(Bench(me=self.who("raspberrypi"), shared=self.holder.bench))
        self.standby.guard = self.holder.guard  # they share a clock and a store
        self.told: list[tuple[str, str, Mapping[str, Any]]] = []
        self.posts: list[PeerPost] = []

    def who(self, node_id: str) -> Identity:
        """Return a node of this cluster."""
        return replace(someone(node_id), cluster_id=self.config.cluster_id)

    def post(self, heartbeat: SteppedHeartbeat, memory: PromiseMemory) -> PeerPost:
        """Start a node's post with what its disk remembers."""
        node_id = str(heartbeat.identity.node_id)
        file = DiskPromiseFile(self.folder / f"{node_id}.json")
        if memory.state is not PromiseState.UNKNOWN:
            file.store(memory)
        reason = describe(memory, {})
        if reason:
            heartbeat.promise(StandDown(reason=reason), lambda _: None)
        made = PeerPost(
            self.config,
            heartbeat=cast("Heartbeat", heartbeat),
            peer=next(n for n in NODES if n != node_id),
            key=KEY,
            file=file,
            memory=memory,
            new_id=lambda: "p-new",
            tell=lambda name, fields: self.told.append((node_id, name, fields)),
        )
        made.start()
        self.posts.append(made)
        return made

    def wait(self, condition: Callable[[], object], *, passing_s: float = 0.0) -> None:
        """Wait for a condition while the machines' time passes."""
        until_s = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < until_s, self.told
            if passing_s:
                self.holder.run(passing_s)
                self.standby.run(0.0)
            time.sleep(0.02)

    def remembered(self, node_id: str) -> PromiseMemory:
        """Return what is on a node's disk."""
        return DiskPromiseFile(self.folder / f"{node_id}.json").load()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Two nodes that ask each other often."""
    monkeypatch.setattr(peer_post, "POLL_S", 0.05)
    monkeypatch.setattr(peer_mind, "MIND_S", 0.05)
    made = World(tmp_path)
    yield made
    for post in made.posts:
        post.stop()


def promise_of(world: World) -> Promise:
    """A promise that an earlier process of the Pi gave to the present holder."""
    return Promise(
        promise_id="p-old",
        by=NodeId("raspberrypi"),
        by_nonce="an earlier process",
        to=world.holder.identity.node_id,
        to_nonce=world.holder.identity.nonce,
        epoch=1,
    )


def test_they_hear_each_other_and_notice_silence(world: World) -> None:
    """Heard and silent are told once each; what is known stays readable at once."""
    first = world.post(world.holder, NOTHING_PROMISED)
    world.wait(lambda: ("jetson", "peer.silent") in [t[:2] for t in world.told])
    second = world.post(world.standby, NOTHING_PROMISED)
    world.wait(lambda: first.picture().is_heard and second.picture().is_heard)
    status = second.picture().status
    assert status is not None
    assert status.is_holder
    second.stop()
    world.wait(lambda: [t[1] for t in world.told if t[0] == "jetson"].count("peer.silent") == 2)
    assert not first.picture().reasons


def test_disk_without_memory_is_freed_by_asking(world: World) -> None:
    """A fresh disk contends once the other node has said that it relies on nothing."""
    world.post(world.standby, NOT_KNOWN)
    assert world.standby.peer_facts().stood_down
    world.post(world.holder, NOTHING_PROMISED)
    world.wait(lambda: world.remembered("raspberrypi") == NOTHING_PROMISED)
    world.wait(lambda: not world.standby.peer_facts().stood_down)


def test_restarted_standby_is_let_off_when_the_store_acknowledges(world: World) -> None:
    """While the store is away the holder needs the promise; once it is back it ends by itself."""
    promise = promise_of(world)
    world.holder.promise(PromiseTaken(promise=promise), lambda _: None)
    store = world.holder.bench.stores[next(iter(world.holder.bench.stores))]
    store.set_down(True)
    world.holder.run(30.0)
    world.post(world.holder, NOTHING_PROMISED)
    standing = PromiseMemory(state=PromiseState.STANDING, promise=promise)
    post = world.post(world.standby, standing)
    world.wait(lambda: post.picture().is_heard)
    assert world.remembered("raspberrypi") == standing
    store.set_down(False)
    world.wait(lambda: world.remembered("raspberrypi") == NOTHING_PROMISED, passing_s=0.25)
    assert world.holder.peer_facts().holder.relies_on is None
    assert world.holder.peer_facts().holder.epoch == 1


@pytest.mark.parametrize("memory", [NOT_KNOWN, NOTHING_PROMISED], ids=["new card", "old image"])
def test_forgotten_promise_comes_back_from_the_holder(world: World, memory: PromiseMemory) -> None:
    """The holder trades on by it, cut off from the store: the node must not contend."""
    promise = promise_of(world)
    world.holder.promise(PromiseTaken(promise=promise), lambda _: None)
    store = world.holder.bench.stores[next(iter(world.holder.bench.stores))]
    store.set_down(True)
    world.holder.run(30.0)
    world.post(world.holder, NOTHING_PROMISED)
    world.post(world.standby, memory)
    world.wait(lambda: world.remembered("raspberrypi").promise_id == "p-old")
    assert world.standby.peer_facts().stood_down
    assert ("raspberrypi", "promise.adopted") in [t[:2] for t in world.told]


def test_two_servers_are_noticed_by_both(world: World) -> None:
    """Same names, other servers: both have a reason, and say what to mend."""
    elsewhere = SteppedHeartbeat(Bench(me=world.who("raspberrypi")))
    first = world.post(world.holder, NOTHING_PROMISED)
    second = world.post(elsewhere, NOTHING_PROMISED)

    def both_know() -> bool:
        elsewhere.run(0.25)
        return bool(first.picture().reasons and second.picture().reasons)

    world.wait(both_know, passing_s=0.25)
    assert "two servers" in first.picture().reasons[0]

"""The walk of a promise between two desks over real sockets, step by step (R14)."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.store_list import joint_text
from election.errors import PeerUnreachable, PromiseFileUnusable
from election.promise import NOT_KNOWN, NOTHING_PROMISED, PromiseMemory, PromiseState
from election.signals import StandUp
from node.peer_desk import Outcome
from node.peer_rules import COMMAND
from tests.support.peer_rig import Side, two_sides
from tests.support.status_cases import THREE, TWO, make_config

HOUR_S = 3600.0


@pytest.fixture
def sides(tmp_path: Path) -> Iterator[tuple[Side, Side]]:
    """A holder and a standby, listening on loopback."""
    pair = two_sides(tmp_path, make_config(tmp_path, TWO))
    yield pair
    for side in pair:
        side.server.stop(5.0)


def command(side: Side, step: str) -> dict[str, Any]:
    """Say a step at a node's own endpoint, as `nodectl stand-down` does."""
    client = side.client_to(side.node_id, side.server.port, sender=COMMAND)
    return dict(client.stand_down({"step": step}, timeout_s=10.0))


def relies(side: Side) -> bool:
    return side.heartbeat.peer_facts().holder.relies_on is not None


def test_promise_is_on_disk_before_it_is_told_and_lets_the_holder_trade_on(
    sides: tuple[Side, Side],
) -> None:
    """The whole walk: given, relied on, the store away for an hour, back, ended, contending."""
    holder, standby = sides
    assert command(standby, "begin")["code"] == "done"
    assert standby.file.load().promise_id == "p1"
    assert relies(holder)
    assert [name for name, _ in standby.told] == ["promise.given"]
    assert [name for name, _ in holder.told] == ["promise.relied"]
    store = holder.bench.stores[next(iter(holder.bench.stores))]
    store.set_down(True)
    holder.bench.run(HOUR_S)
    assert holder.bench.is_open()
    assert "no store has acknowledged" in command(standby, "end")["text"]
    assert standby.desk.memory.state is PromiseState.STANDING
    store.set_down(False)
    store.restart(keep=False)
    holder.bench.run(3.0)
    assert command(standby, "end")["code"] == "done"
    assert standby.file.load() == NOTHING_PROMISED
    assert not relies(holder)
    standby.bench.run(1.0)
    assert "waits one ttl" in standby.bench.machine.view(standby.bench.clock.now()).ineligible[0]


def test_said_twice_is_the_same_promise(sides: tuple[Side, Side]) -> None:
    """Whoever is not sure says it again."""
    holder, standby = sides
    assert command(standby, "begin") == command(standby, "begin")
    assert len(standby.told) == 1
    assert relies(holder)


def test_restarted_node_stands_down_anew(sides: tuple[Side, Side]) -> None:
    """A promise of an earlier process would end by itself: whoever asks again gets a new one."""
    holder, standby = sides
    command(standby, "begin")
    earlier = standby.desk.memory.promise
    assert earlier is not None
    standby.desk.memory = PromiseMemory(
        state=PromiseState.STANDING, promise=replace(earlier, by_nonce="an earlier process")
    )
    standby.desk.new_id = lambda: "p2"
    holder.bench.run(1.0)  # the store acknowledges
    assert command(standby, "begin")["code"] == "done"
    relied = holder.heartbeat.peer_facts().holder.relies_on
    assert relied is not None
    assert (relied.promise_id, relied.by_nonce) == ("p2", standby.heartbeat.identity.nonce)
    # While no store acknowledges, the holder does not let go of the one it has.
    standby.desk.memory = PromiseMemory(
        state=PromiseState.STANDING, promise=replace(relied, by_nonce="an earlier process")
    )
    holder.bench.stores[next(iter(holder.bench.stores))].set_down(True)
    holder.bench.run(30.0)
    assert command(standby, "begin")["code"] == "refused"
    assert relies(holder)


def test_lost_acknowledgement_leaves_the_promise_standing(sides: tuple[Side, Side]) -> None:
    """The disk has it, so this node does not contend, whatever the holder heard."""
    holder, standby = sides
    asked = standby.desk.peer

    class Cut:
        """Answers the question who holds, and nothing after."""

        def status(self) -> Any:
            return asked.status()

        def stand_down(self, body: Any) -> Any:
            raise PeerUnreachable(f"no answer to {body['step']}")

    standby.desk.peer = Cut()
    assert command(standby, "begin")["code"] == "unsure"
    assert standby.file.load().state is PromiseState.STANDING
    assert not relies(holder)
    standby.desk.peer = asked
    assert command(standby, "begin")["code"] == "done"
    assert relies(holder)


def test_promise_that_is_not_durable_is_told_to_nobody(sides: tuple[Side, Side]) -> None:
    """The machine stands down, the holder hears nothing."""
    holder, standby = sides

    class Full:
        """A disk that takes nothing."""

        def load(self) -> PromiseMemory:
            return NOTHING_PROMISED

        def store(self, memory: PromiseMemory) -> None:
            raise PromiseFileUnusable("no space left on device")

    standby.desk.file = Full()
    answer = command(standby, "begin")
    assert (answer["code"], "no space" in answer["text"]) == ("unsure", True)
    assert not relies(holder)
    assert standby.heartbeat.peer_facts().stood_down


def test_holder_cannot_promise(sides: tuple[Side, Side]) -> None:
    """Neither node may: the other one does not hold, or this one does."""
    holder, _ = sides
    answer = command(holder, "begin")
    assert answer["code"] == "refused"
    assert holder.file.load() == NOTHING_PROMISED


def test_three_stores_need_no_promise(tmp_path: Path) -> None:
    """Any one of three may be away."""
    holder, standby = two_sides(tmp_path, make_config(tmp_path, THREE))
    assert "three stores" in command(standby, "begin")["text"]
    for side in (holder, standby):
        side.server.stop(5.0)


def test_no_promise_counts_while_the_pair_grows(tmp_path: Path) -> None:
    """The needed store may not be away, so that any one of three may would be untrue."""
    config = make_config(tmp_path, joint_text(THREE, "raspberrypi"))
    holder, standby = two_sides(tmp_path, config)
    answer = command(standby, "begin")
    assert (answer["code"], "finish that first" in answer["text"]) == ("refused", True)
    assert standby.file.load() == NOTHING_PROMISED
    for side in (holder, standby):
        side.server.stop(5.0)


def test_heartbeat_that_does_not_answer_promises_nothing(
    sides: tuple[Side, Side], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that has not dropped its attempts must not be promised for."""
    holder, standby = sides
    monkeypatch.setattr("node.peer_desk.MACHINE_S", 0.05)
    standby.heartbeat.is_deaf = True
    assert command(standby, "begin")["code"] == "refused"
    assert standby.file.load() == NOTHING_PROMISED
    assert not relies(holder)
    standby.heartbeat.is_deaf, holder.heartbeat.is_deaf = False, True
    answer = command(standby, "begin")
    assert answer["code"] == "refused"
    assert "the promise stands" in answer["text"]


def test_late_promise_does_not_come_back_after_its_end(sides: tuple[Side, Side]) -> None:
    """Ended once, a promise that arrives again is refused."""
    holder, standby = sides
    command(standby, "begin")
    promise = standby.desk.memory.promise
    assert promise is not None
    assert command(standby, "end")["code"] == "done"
    answer = holder.desk.stand_down("raspberrypi", {"step": "give", "promise": promise.to_body()})
    assert (answer["code"], answer["text"]) == ("refused", "it was ended already")
    assert not relies(holder)


def test_nobody_promises_for_another(sides: tuple[Side, Side]) -> None:
    """The sender of the signed request is the one who promises; a person is no node."""
    holder, standby = sides
    command(standby, "begin")
    promise = standby.desk.memory.promise
    assert promise is not None
    body = {"step": "give", "promise": {**promise.to_body(), "by": "somebody"}}
    assert holder.desk.stand_down("raspberrypi", body)["code"] == "refused"
    for sender, step in ((COMMAND, "give"), ("raspberrypi", "force"), ("raspberrypi", "begin")):
        answer = holder.desk.stand_down(sender, {"step": step})
        assert "no step" in str(answer["text"])


# --- lost memory ------------------------------------------------------------------------------


def test_wiped_disk_learns_its_promise_from_the_holder(sides: tuple[Side, Side]) -> None:
    """A new SD card: the holder, cut off from the store, remembers; the node does not contend."""
    holder, standby = sides
    command(standby, "begin")
    holder.bench.stores[next(iter(holder.bench.stores))].set_down(True)
    holder.bench.run(60.0)
    standby.desk.memory = NOT_KNOWN
    standby.desk.end()
    assert standby.desk.memory.promise_id == "p1"
    assert standby.file.load().promise_id == "p1"


def test_wiped_disk_is_freed_by_a_holder_that_relies_on_nothing(sides: tuple[Side, Side]) -> None:
    """Asked directly, the other node says that no promise is relied on."""
    _, standby = sides
    standby.desk.memory = NOT_KNOWN
    outcome: Outcome = standby.desk.end()
    assert outcome.code == "done"
    assert standby.file.load() == NOTHING_PROMISED


def test_older_image_of_the_disk_learns_its_promise_again(sides: tuple[Side, Side]) -> None:
    """The holder says that it relies on this node; the disk does not know: it stands down, asks."""
    holder, standby = sides
    command(standby, "begin")
    holder.bench.stores[next(iter(holder.bench.stores))].set_down(True)
    holder.bench.run(60.0)
    standby.desk.memory = NOTHING_PROMISED
    standby.file.store(NOTHING_PROMISED)
    standby.bench.feed(StandUp(ttl_ms=0))
    standby.desk.doubt()
    assert standby.heartbeat.peer_facts().stood_down
    standby.desk.end()
    assert standby.file.load().promise_id == "p1"


# --- a person ---------------------------------------------------------------------------------


def test_force_is_refused_while_the_holder_lives(sides: tuple[Side, Side]) -> None:
    """Whoever answers as holder is not dead."""
    _, standby = sides
    command(standby, "begin")
    assert "alive" in command(standby, "force")["text"]
    assert standby.file.load().state is PromiseState.STANDING


def test_force_ends_it_when_the_holder_does_not_answer(sides: tuple[Side, Side]) -> None:
    """A person says that the box is off; one ttl is waited all the same."""
    holder, standby = sides
    command(standby, "begin")
    holder.server.stop(5.0)
    assert command(standby, "end")["code"] == "unsure"
    assert command(standby, "force")["code"] == "done"
    assert standby.file.load() == NOTHING_PROMISED
    standby.bench.run(1.0)
    assert "waits one ttl" in standby.bench.machine.view(standby.bench.clock.now()).ineligible[0]


def test_end_that_is_not_durable_is_none(sides: tuple[Side, Side]) -> None:
    """The holder has let go, the disk still has it: this node does not contend."""
    _, standby = sides
    command(standby, "begin")

    class Full:
        """A disk that takes nothing any more."""

        def load(self) -> PromiseMemory:
            return NOT_KNOWN

        def store(self, memory: PromiseMemory) -> None:
            raise PromiseFileUnusable("read-only file system")

    standby.desk.file = Full()
    assert command(standby, "end")["code"] == "unsure"
    assert standby.heartbeat.peer_facts().stood_down

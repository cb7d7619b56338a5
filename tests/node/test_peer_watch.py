"""What the other node's word means is told once, with what to do."""

from types import SimpleNamespace
from typing import cast

from alerts.model import Verdict
from election.model import NodeId
from election.promise import NOTHING_PROMISED, Promise, PromiseMemory, PromiseState
from node.parts import NodeParts
from node.peer_picture import HEARD_S, PeerPicture, picture_body
from node.peer_watch import PeerWatch
from node.teller import Teller
from tests.support.trading_rig import Ear

PROMISE = Promise(
    promise_id="p",
    by=NodeId("raspberrypi"),
    by_nonce="n",
    to=NodeId("jetson"),
    to_nonce="m",
    epoch=3,
)


class World:
    """A watch on a picture that the test paints."""

    def __init__(self) -> None:
        self.ear, self.picture = Ear(), PeerPicture(is_on=True, memory=NOTHING_PROMISED)
        parts = SimpleNamespace(
            peer=SimpleNamespace(picture=lambda: self.picture),
            promise_doubt=None,
            identity=SimpleNamespace(nonce="n1"),
            wall_ms=lambda: 1000,
            teller=Teller(self.ear, cluster="c", node_id="jetson", epoch=lambda: 3),
        )
        self.watch = PeerWatch(cast("NodeParts", parts))

    async def see(self, **changes: object) -> list[str]:
        """Paint, look twice, return what was told now."""
        before = len(self.ear.events)
        self.picture = PeerPicture(
            **{"is_on": True, "memory": NOTHING_PROMISED, **changes}  # type: ignore[arg-type]
        )
        await self.watch.step()
        await self.watch.step()
        return [e.facts["what"] for e in self.ear.events[before:]]


async def test_different_servers_are_told_once_with_what_to_do() -> None:
    """R13: act; and once more when they agree again."""
    world = World()
    assert await world.see() == []
    told = await world.see(reasons=("different servers: ...",))
    assert len(told) == 1
    assert world.ear.events[-1].verdict is Verdict.ACT
    assert "cluster.toml" in world.ear.events[-1].facts["fix"]
    assert await world.see(reasons=()) == ["both nodes speak to the same servers"]


async def test_reliance_says_what_happens_if_the_leader_fails() -> None:
    """R14: nobody trades then, and the command that ends it is in the message."""
    world = World()
    assert len(await world.see(relies_on=PROMISE)) == 1
    facts = world.ear.events[-1].facts
    assert "nobody trades" in facts["meaning"]
    assert "stand-down --force" in facts["fix"]
    assert len(await world.see()) == 1


async def test_end_of_the_own_promise_is_told() -> None:
    """The spare is back; a start without a promise is no news."""
    world = World()
    standing = PromiseMemory(state=PromiseState.STANDING, promise=PROMISE)
    assert await world.see(memory=standing) == []
    assert await world.see() == ["this node may take over again"]


async def test_node_without_an_endpoint_has_nothing_to_say() -> None:
    """Off is off."""
    world = World()
    parts = cast("SimpleNamespace", world.watch.parts)
    parts.peer = None
    await world.watch.step()
    assert world.ear.events == []
    assert picture_body(None) == {}


def test_board_shows_whether_the_other_node_is_heard() -> None:
    """Silence is shown with its reason, and an own port that cannot be had first of all."""

    def trouble(**changes: object) -> object:
        fields = {"is_on": True, "peer": "pi", "heard_s": 0.5, **changes}
        return picture_body(PeerPicture(**fields))["peer_error"]  # type: ignore[arg-type]

    assert trouble() == ""
    assert trouble(heard_s=HEARD_S + 1, error="refused") == "refused"
    assert trouble(heard_s=None) == "not asked yet"
    assert trouble(problem="port in use") == "port in use"

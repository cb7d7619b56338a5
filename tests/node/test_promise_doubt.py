"""A card without memory and without the endpoint: the other node's beats end the doubt (R14)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from election.errors import PromiseFileUnusable
from election.heartbeat import Heartbeat
from election.member_record import MemberReading
from election.model import NodeId, StoreName
from election.promise import NOT_KNOWN, NOTHING_PROMISED, describe
from election.promise_file import DiskPromiseFile
from election.promises import HOLDS_OFF
from election.signals import StandDown
from node.promise_doubt import BEATS_MIN, BoardWord, PromiseDoubt
from tests.support.lease_bench import Bench, someone
from tests.support.peer_rig import SteppedHeartbeat

OTHER = NodeId("jetson")


def beat(number: int, *, nonce: str = "n1", **body: Any) -> dict[NodeId, MemberReading]:
    """Return a board that shows one beat of the other node."""
    reading = MemberReading(
        node_id=OTHER, nonce=nonce, beat=number, body=body, age_s=0.1, stores=(StoreName("pi"),)
    )
    return {OTHER: reading}


def verdict(*looks: dict[NodeId, MemberReading]) -> bool:
    """Return whether the doubt is over after these looks, the last of them deciding."""
    word = BoardWord(frozenset({OTHER}))
    return [word.step(look) for look in looks][-1]


@pytest.mark.parametrize("body", [{"relies_on": ""}, {}], ids=["endpoint on", "endpoint off"])
def test_new_beats_that_deny_it_end_the_doubt(body: dict[str, Any]) -> None:
    """The beat seen first may be older than this process; then it takes some in a row."""
    beats = [beat(7 + n, **body) for n in range(BEATS_MIN + 1)]
    assert verdict(*beats)
    assert not verdict(*beats[:-1])


@pytest.mark.parametrize(
    "looks",
    [
        pytest.param([{}] * 9, id="nobody on the board"),
        pytest.param([beat(7, relies_on="")] * 9, id="a beat that does not advance"),
        pytest.param([beat(n, relies_on="pi") for n in range(9)], id="it relies on this node"),
        pytest.param([beat(n, relies_on="") for n in range(9, 0, -1)], id="older and older beats"),
        pytest.param(
            [beat(n, nonce=f"n{n}", relies_on="") for n in range(9)], id="always another process"
        ),
        pytest.param([beat(n, relies_on=None) for n in range(9)], id="a word that is none"),
        pytest.param(
            [*(beat(n, relies_on="") for n in range(3)), beat(3, relies_on="pi")],
            id="strays, then the truth",
        ),
    ],
)
def test_whatever_else_is_seen_ends_nothing(looks: list[dict[NodeId, MemberReading]]) -> None:
    """Silence and old words prove nothing."""
    word = BoardWord(frozenset({OTHER}))
    assert not any(word.step(look) for look in looks)


def test_alone_in_the_configuration_nobody_can_deny_it() -> None:
    """A damaged memory of a node without a partner is a person's to judge."""
    assert not BoardWord(frozenset()).step(beat(1))


class Card:
    """A standby with a card that remembers nothing, on a bench of its own."""

    def __init__(self, folder: Path) -> None:
        self.bench = Bench(me=someone("raspberrypi"))
        self.file = DiskPromiseFile(folder / "promise.json")
        self.bench.feed(StandDown(reason=describe(NOT_KNOWN, {})))

    def doubt(self, forget: Callable[[], None] | None = None) -> PromiseDoubt:
        """Return the doubt; `forget` stands in for the disk."""
        return PromiseDoubt(
            heartbeat=cast("Heartbeat", SteppedHeartbeat(self.bench)),
            word=BoardWord(frozenset({OTHER})),
            forget=forget or (lambda: self.file.store(NOTHING_PROMISED)),
        )

    def obstacles(self) -> tuple[str, ...]:
        """Return what the promise has against contending."""
        return self.bench.machine.promises.obstacles(self.bench.clock.now())


async def look(doubt: PromiseDoubt, *numbers: int, **body: Any) -> None:
    """Let the node look at these beats."""
    for number in numbers:
        await doubt.step(beat(number, **body))


async def test_end_is_durable_before_the_node_contends(tmp_path: Path) -> None:
    """The disk knows first; then one ttl is waited, as after every end of a promise."""
    card = Card(tmp_path)
    doubt = card.doubt()
    await look(doubt, 1, 2, 3, relies_on="")
    assert "remembers nothing" in card.obstacles()[0]
    assert card.file.load() == NOT_KNOWN
    await look(doubt, 4, relies_on="")
    assert card.file.load() == NOTHING_PROMISED
    assert card.obstacles() == (HOLDS_OFF,)


async def test_disk_that_refuses_or_hangs_keeps_the_node_out(tmp_path: Path) -> None:
    """What is not durable is not over; a disk that recovers ends it at a later look."""
    card, asked = Card(tmp_path), []

    def refuse() -> None:
        asked.append(1)
        if len(asked) < 3:
            raise PromiseFileUnusable("no space left on device")

    doubt = card.doubt(refuse)
    await look(doubt, 1, 2, 3, 4, 5, relies_on="")
    assert len(asked) == 2
    assert "remembers nothing" in card.obstacles()[0]
    await look(doubt, 6, relies_on="")
    assert card.obstacles() == (HOLDS_OFF,)

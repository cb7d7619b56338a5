"""A takeover whose message died with its process is told late, once, by the node that took over."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from alerts.durable import DurableOutbox
from alerts.model import AlertEvent, Kind
from node.crash_watch import CrashWatch
from node.crashes import CrashBook
from node.role import Role
from node.takeover import TakeoverReport
from node.teller import Teller
from node.untold import find_untold, tell_untold
from tests.support.shift_rig import ShiftRig, new_shift_rig
from tests.support.trading_rig import Rig

ME, OTHER = "jetson", "raspberrypi"


class Killed(BaseException):
    """SIGKILL at this point."""


class Outlet:
    """The alert path with a real outbox."""

    def __init__(self, path: Path) -> None:
        self.outbox = DurableOutbox(path)

    async def put_soon(self, event: AlertEvent) -> bool:
        return self.outbox.put(event)


async def died_before_telling(epoch: int = 2) -> ShiftRig:
    """Return the node whose process ended between the journal and the outbox."""
    rig = Rig()
    await rig.start(epoch=1, node_id=OTHER)
    await rig.watch.put("cluster", {"born_ms": 0, "account": "memory"}, reason="test")
    node = await new_shift_rig(rig)

    def die(_: TakeoverReport) -> None:
        raise Killed

    node.people.on_takeover = die
    node.grant(epoch)
    with pytest.raises(Killed):
        await node.turn()
    return node


def teller(outlet: Outlet, node_id: str = ME) -> Teller:
    return Teller(outlet, cluster="t", node_id=node_id, epoch=lambda: 0, wall_ms=lambda: 9)


async def test_the_next_start_tells_it_once_with_its_true_time(tmp_path: Path) -> None:
    """S5: known by the journal, unknown to the outbox: told late, as of when it happened."""
    node = await died_before_telling()
    outlet = Outlet(tmp_path / "outbox")
    for _ in range(2):  # the second is another start that finds the same journal
        assert await tell_untold(node.rig.disk.documents, ME, teller(outlet)) == (2,)
    [row] = outlet.outbox.rows
    assert (row.event.kind, row.event.epoch) == (Kind.TOOK_OVER, 2)
    assert row.event.event_id == "took_over:2"
    [entry] = find_untold(node.rig.disk.documents, ME)
    assert row.event.created_wall_ms == entry.body["at_wall_ms"]
    assert "told late" in row.event.facts["reason"]


async def test_the_other_node_never_tells_it(tmp_path: Path) -> None:
    """Once an epoch: the other node cannot know what this one's outbox has told."""
    node = await died_before_telling()
    outlet = Outlet(tmp_path / "outbox")
    await tell_untold(node.rig.disk.documents, OTHER, teller(outlet, OTHER))
    assert not outlet.outbox.rows


async def test_what_both_boxes_off_left_untold_is_told_as_that(tmp_path: Path) -> None:
    """The kind is part of the event's id: the other kind would be a second message."""
    node = await died_before_telling()
    [key] = [k for k in node.rig.disk.documents if k.startswith("takeover:")]
    text = node.rig.disk.documents[key]
    assert '"was_whole_cluster_off":false' in text.replace(" ", "")
    changed = text.replace('"was_whole_cluster_off": false', '"was_whole_cluster_off": true')
    changed = changed.replace('"was_whole_cluster_off":false', '"was_whole_cluster_off":true')
    outlet = Outlet(tmp_path / "outbox")
    await tell_untold({key: changed}, ME, teller(outlet))
    assert [row.event.event_id for row in outlet.outbox.rows] == ["both_were_off:2"]


async def test_a_takeover_that_was_told_is_marked() -> None:
    """A mark in the journal, so that an outbox that forgot its oldest ids tells nothing again."""
    rig = Rig()
    await rig.start(epoch=1, node_id=OTHER)
    await rig.watch.put("cluster", {"born_ms": 0, "account": "memory"}, reason="test")
    node = await new_shift_rig(rig)
    node.grant(2)
    await node.turn()
    assert node.role() is Role.ACTIVE
    await node.turn()
    assert not find_untold(rig.disk.documents, ME)


async def test_a_takeover_that_was_told_late_is_marked_by_the_next_shift() -> None:
    """An outbox remembers a bounded number of ids; the journal keeps the mark."""
    node = await died_before_telling()
    node.rig.health.role = Role.STANDBY
    watch = _crash_watch(node)
    for _ in range(2):
        await watch.step()
    after = await new_shift_rig(node.rig)
    cast("Any", after.parts).times = node.parts.times
    after.grant(3)
    await after.turn()
    await after.turn()
    assert after.role() is Role.ACTIVE
    assert not find_untold(after.rig.disk.documents, ME)


async def test_the_next_holder_says_that_it_may_have_been_silent() -> None:
    """The disk of the dead node may be lost: then this is the only word about its takeover."""
    node = await died_before_telling()
    node.rig.health.role = Role.STANDBY
    after = await new_shift_rig(node.rig)
    heard: list[str] = []
    after.people.on_takeover = lambda report: heard.append(report.reason)
    after.grant(3)
    await after.turn()
    [said] = heard
    assert "had taken over just before and may not have said so" in said


async def test_a_running_node_looks_once_it_has_read_the_stores() -> None:
    """The disk may miss what only the stores have: a look before the first tail is too early."""
    node = await died_before_telling()
    node.rig.ear.events.clear()
    watch = _crash_watch(node)
    node.rig.health.role = Role.STARTING
    for _ in range(3):
        await watch.step()
    assert not node.rig.ear.events
    node.rig.health.role = Role.STANDBY
    for _ in range(4):
        await watch.step()
    assert [event.event_id for event in node.rig.ear.events] == ["took_over:2"]


def _crash_watch(node: ShiftRig) -> CrashWatch:
    parts: Any = node.parts
    parts.crashes = SimpleNamespace(book=CrashBook())
    return CrashWatch(parts)

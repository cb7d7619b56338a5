"""Real processes that die at the worst line: in the work loop, and between journal and message."""

from pathlib import Path

import pytest

from election.post_mortem import AFTER_CRASH
from node.crash_file import read_book
from tests.e2e.conftest import PairMaker
from tests.support.pair import JETSON, PI, Pair, plan_of, wall_ms
from tests.support.spoiled import Spoiler

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

# Whoever takes over sooner than this did so by a release; the report says it too.
LONG_LEASE = {
    "ttl_ms": 12_000,
    "renew_ms": 1000,
    "request_timeout_ms": 1000,
    "observe_ms": 250,
    "guard_ms": 1000,
}


def test_an_exception_in_the_work_loop_releases_at_once(
    make_pair: PairMaker, tmp_path: Path
) -> None:
    """R10, R16: no supervisor, no hook; the dying process gives the lease back and says why."""
    pair = make_pair(plan_of(lease=LONG_LEASE))
    spoiler = Spoiler(tmp_path, "node.active:Active:cycle", "raise")
    pair.start(JETSON, environ=spoiler.environ)
    pair.wait_active(JETSON)
    pair.story.start_node(PI)
    pair.story.wait_spare(PI)
    pair.wait_resting()
    since = pair.stage.role_changes(PI)
    spoiler.arm()
    pair.wait(lambda: not pair.node(JETSON).is_running, "the process to end")
    assert pair.node(JETSON).wait() == 1
    (crashed,) = pair.events(JETSON, "node.crashed")
    (released,) = pair.events(JETSON, "lease.released")
    assert released["was_acknowledged"]
    report = pair.wait_active(PI, since=since)
    assert report["previous"] == JETSON
    assert AFTER_CRASH in report["reason"]
    assert "LookupError" in report["reason"]
    granted = pair.events(PI, "lease.granted")[-1]
    assert granted["was_released"]
    assert wall_ms(granted) - wall_ms(crashed) < LONG_LEASE["ttl_ms"]
    pair.wait_told("error", JETSON)
    (book,) = read_book(pair.stage.directory / "state" / JETSON).crashes
    assert "LookupError" in book.how
    pair.wait_order(PI)
    pair.judge()


def told_of(pair: Pair, epoch: int) -> list[str]:
    """Return the delivered messages that say who trades since this epoch."""
    kinds = ("took_over", "both_were_off")
    return [
        e["event_id"]
        for kind in kinds
        for e in pair.told(kind)
        if e["event_id"].split(":")[1] == str(epoch)
    ]


def test_a_takeover_whose_process_is_killed_before_it_could_tell_is_told_late(
    pair: Pair, tmp_path: Path
) -> None:
    """S5: SIGKILL after the journal has the takeover and before the outbox has the message."""
    spoiler = Spoiler(tmp_path, "node.overseer:Overseer:tell_took_over", "kill")
    pair.start(JETSON)
    pair.wait_active(JETSON)
    pair.start(PI, environ=spoiler.environ)
    pair.story.wait_spare(PI)
    pair.wait_resting()
    spoiler.arm()
    pair.kill(JETSON)
    pair.wait(lambda: not pair.node(PI).is_running, "the new leader to be killed")
    assert spoiler.has_struck
    (epoch,) = pair.epochs(PI)
    # The log's own thread may not have got to write that it is finished: the journal has it.
    assert any(f"takeover:{epoch}" in documents for documents in pair.documents())
    assert told_of(pair, epoch) == []

    since = pair.stage.role_changes(PI)
    pair.node(PI).start()
    pair.wait_event(PI, "takeover.told_late", lease_epoch=epoch)
    pair.wait(lambda: told_of(pair, epoch), "the late message")
    pair.wait_active(PI, since=since)
    pair.start(JETSON)
    pair.story.wait_spare(JETSON)
    # Once: neither the next start of that node nor the other node says it again.
    assert pair.node(PI).stop(60.0) == 0
    pair.wait(lambda: pair.is_active(JETSON), "the Jetson to trade")
    pair.start(PI)
    pair.story.wait_spare(PI)
    assert len(told_of(pair, epoch)) == 1
    assert len(pair.events(PI, "takeover.told_late")) == 1
    pair.judge()

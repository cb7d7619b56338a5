"""A process that ends by an exception: the lease goes back, and a shared failure pauses (R16)."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from alerts.model import Kind, Verdict
from election.model import Granted, NodeId
from election.post_mortem import AFTER_CRASH
from node.crash_file import CrashDesk
from node.crash_watch import CrashWatch, signature_of
from node.crashes import LIMIT, Crash
from node.latches import CLEAR_CRASHES, LAST_CRASH, PAUSE
from node.parts import NodeParts
from node.shift import Shift
from node.takeover import why_granted
from node.teller import Teller
from tests.support.trading_rig import Rig


class Gate:
    """The heartbeat by shape: remembers that its gate was closed."""

    def __init__(self, epoch: int) -> None:
        self.closed: list[str] = []
        self.permit = SimpleNamespace(epoch=epoch)

    def close_gate(self, reason: str) -> None:
        self.closed.append(reason)


class Giving:
    """The shift by shape: remembers what it gave back, after how many pauses."""

    def __init__(self, rig: Rig, granted: Granted | None) -> None:
        self.rig, self.granted = rig, granted
        self.given: list[tuple[str, bool]] = []

    async def give_back(self, reason: str) -> None:
        self.given.append((reason, self.rig.watch.latches.is_paused))


def grant(epoch: int) -> Granted:
    return Granted(
        epoch=epoch,
        previous=NodeId("raspberrypi"),
        previous_epoch=epoch - 1,
        was_released=True,
        silent_s=None,
        drain_ms=0,
        reason="",
    )


def fail() -> Exception:
    """An exception as the program's own code raises it."""
    try:
        signature_of(cast("BaseException", None))
    except AttributeError as error:
        return error
    raise AssertionError("it did not fail")


async def world(
    tmp_path: Any, *, epoch: int, last: dict[str, object] | None = None
) -> tuple[CrashWatch, Giving, Rig, Gate]:
    rig = Rig()
    await rig.watch.put("cluster", {"born_ms": 0}, reason="test")
    if last is not None:
        await rig.watch.put(LAST_CRASH, last, reason="test")
    gate = Gate(epoch)
    parts = SimpleNamespace(
        crashes=CrashDesk(tmp_path),
        watch=rig.watch,
        health=rig.health,
        heartbeat=gate,
        node_id="jetson",
        identity=SimpleNamespace(nonce="n1" * 16),
        teller=Teller(rig.ear, cluster="t", node_id="jetson", epoch=lambda: epoch),
        wall_ms=lambda: 1_700_000_000_000,
    )
    shift = Giving(rig, grant(epoch) if epoch else None)
    return CrashWatch(cast("NodeParts", parts)), shift, rig, gate


async def test_a_holder_that_crashes_gives_the_lease_back(tmp_path: Any) -> None:
    """R10: gate closed first, then released in order, with a reason that says crash."""
    watch, shift, rig, gate = await world(tmp_path, epoch=7)
    error = fail()
    await watch.end(error, cast("Shift", shift))
    assert len(gate.closed) == 1
    assert shift.given == [(f"{AFTER_CRASH}: {signature_of(error)}", False)]
    (noted,) = watch.parts.crashes.book.crashes
    assert (noted.epoch, noted.why_not_counted, noted.was_told) == (7, "", True)
    (told,) = rig.ear.events
    assert (told.kind, told.verdict) == (Kind.ERROR, Verdict.LOOK)
    assert rig.watch.latches.records[LAST_CRASH].value == {
        "signature": signature_of(error),
        "node_id": "jetson",
        "epoch": 7,
    }


async def test_what_a_library_says_last_shows_no_signed_request(tmp_path: Any) -> None:
    """The crash book stays on the card, the message in a chat of others."""
    watch, shift, rig, gate = await world(tmp_path, epoch=7)
    said = "GET https://venue/api/v3/order?symbol=ETHUSDT&signature=0123456789abcdef0123"
    await watch.end(RuntimeError(said), cast("Shift", shift))
    (told,) = rig.ear.events
    kept = (tmp_path / "crashes.json").read_text()
    for text in (*told.facts.values(), kept, *gate.closed):
        assert "0123456789abcdef" not in text
    assert "GET https://venue/api/v3/order" in kept


async def test_a_standby_that_crashes_gives_nothing_and_does_not_count(tmp_path: Any) -> None:
    """It held no lease; it is told all the same."""
    watch, shift, rig, _ = await world(tmp_path, epoch=0)
    await watch.end(fail(), cast("Shift", shift))
    assert shift.given == []
    assert watch.parts.crashes.book.crashes[0].why_not_counted == "it held no lease"
    assert rig.ear.kinds() == [Kind.ERROR]
    assert LAST_CRASH not in rig.watch.latches.records


@pytest.mark.parametrize(
    ("change", "pauses"),
    [
        ({}, True),
        ({"signature": "OSError at node/other.py:f"}, False),
        ({"node_id": "jetson"}, False),
        ({"epoch": 5}, False),
        ({"epoch": 7}, False),
    ],
    ids=["the same, just before", "another failure", "this very node", "long before", "not before"],
)
async def test_the_same_failure_on_both_nodes_in_a_row_pauses(
    tmp_path: Any, change: dict[str, object], *, pauses: bool
) -> None:
    """Before the lease is given back, so that the other one does not take it and break again."""
    error = fail()
    last = {"signature": signature_of(error), "node_id": "raspberrypi", "epoch": 6} | change
    watch, shift, rig, _ = await world(tmp_path, epoch=7, last=last)
    await watch.end(error, cast("Shift", shift))
    assert rig.watch.latches.is_paused is pauses
    assert shift.given[0][1] is pauses, "paused only after the lease was given back"
    (told,) = rig.ear.events
    assert told.verdict is (Verdict.ACT if pauses else Verdict.LOOK)
    if pauses:
        assert "both nodes" in rig.watch.latches.records[PAUSE].reason


async def test_last_words_that_fail_do_not_keep_the_lease(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stores that raise cost the record of the crash, not the release."""
    watch, shift, rig, _ = await world(tmp_path, epoch=7)

    async def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("no store")

    monkeypatch.setattr(rig.watch, "refresh", broken)
    monkeypatch.setattr(rig.watch, "put", broken)
    await watch.end(fail(), cast("Shift", shift))
    assert len(shift.given) == 1
    assert rig.ear.kinds() == [Kind.ERROR]


def test_a_signature_is_the_type_and_the_innermost_own_place() -> None:
    """Without line numbers and messages: they differ between releases and candles."""
    assert signature_of(fail()) == "AttributeError at node/crash_watch.py:signature_of"
    assert signature_of(ValueError("never raised")) == "ValueError at outside this program"


async def test_earlier_crashes_are_told_once_and_the_latch_is_shown(tmp_path: Any) -> None:
    """What hooks noted is told at the next start; the latch asks a person to act, once."""
    desk = CrashDesk(tmp_path)
    for number in range(LIMIT):
        desk.note(
            Crash(
                nonce=f"{number:032x}",
                epoch=number + 1,
                boot_id="b",
                at_boottime_s=float(number),
                at_wall_ms=1_700_000_000_000,
                how="it was ended by signal KILL",
            )
        )
    watch, _, rig, _ = await world(tmp_path, epoch=0)
    await watch.tell_previous()
    verdicts = [event.verdict for event in rig.ear.events]
    assert verdicts == [Verdict.LOOK] * LIMIT + [Verdict.ACT]
    assert "nodectl clear-crashes" in rig.health.crash_loop
    rig.ear.events.clear()
    await CrashWatch(watch.parts).tell_previous()
    assert [event.verdict for event in rig.ear.events] == [Verdict.ACT]  # one id: told once


async def test_a_person_lifts_the_latch_by_its_id(tmp_path: Any) -> None:
    """An older word, or another node's, lifts nothing."""
    await test_earlier_crashes_are_told_once_and_the_latch_is_shown(tmp_path)
    watch, _, rig, _ = await world(tmp_path, epoch=0)
    latch_id = rig.health.crash_latch_id
    await rig.watch.put(CLEAR_CRASHES, {"latch_id": "another"}, reason="")
    await watch.step()
    assert rig.health.crash_loop
    await rig.watch.put(CLEAR_CRASHES, {"latch_id": latch_id}, reason="")
    await watch.step()
    assert (rig.health.crash_loop, rig.health.crash_latch_id) == ("", "")
    assert CrashDesk(tmp_path).book.latch is None


def test_a_release_after_a_crash_is_no_handing_over() -> None:
    """The message of the successor says what it was."""
    granted = Granted(
        epoch=8,
        previous=NodeId("pi"),
        previous_epoch=7,
        was_released=True,
        silent_s=None,
        drain_ms=0,
        reason=f"{AFTER_CRASH}: it was ended by signal KILL",
    )
    assert why_granted(granted) == "pi was released after a crash: it was ended by signal KILL"

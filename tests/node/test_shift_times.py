"""Times of a grant: from the grant on by the own clock, instants by the venue's."""

from typing import Any, cast

from election.model import Granted, NodeId
from exchange.orders import OrderEvent, OrderEventKind
from node.shift_times import DeliveryObserver, ShiftTimes


class Clock:
    """Both clocks, moved by the test."""

    def __init__(self) -> None:
        self.now_s = 50.0
        self.venue_ms: int | None = 1_000_000

    def move(self, seconds: float) -> None:
        self.now_s += seconds
        if self.venue_ms is not None:
            self.venue_ms += int(seconds * 1000)


def granted(epoch: int, silent_s: float | None = 6.2) -> Granted:
    return Granted(
        epoch=epoch,
        previous=NodeId("jetson"),
        previous_epoch=epoch - 1,
        was_released=silent_s is None,
        silent_s=silent_s,
        drain_ms=0,
        reason="",
    )


def order(kind: OrderEventKind) -> OrderEvent:
    return OrderEvent(kind=kind, symbol="X/Y", client_order_id=cast("Any", "h1"), reason="")


def times_of(clock: Clock) -> ShiftTimes:
    return ShiftTimes(lambda: clock.now_s, lambda: clock.venue_ms)


def test_each_part_is_noted_once_from_the_grant_on() -> None:
    clock = Clock()
    times = times_of(clock)
    times.begin(granted(7))
    clock.move(0.3)
    times.note_active()
    clock.move(0.2)
    times.note_order(order(OrderEventKind.SENDING))
    times.note_order(order(OrderEventKind.CONFIRMED))
    clock.move(5.0)
    times.note_order(order(OrderEventKind.CONFIRMED))
    was_owing = times.is_owing
    assert was_owing
    assert times.body() == {
        "silent_s": 6.2,
        "ready_after_s": 0.3,
        "first_order_after_s": 0.5,
        "granted_venue_ms": 1_000_000,
        "ready_venue_ms": 1_000_300,
        "first_order_venue_ms": 1_000_500,
    }
    is_owing = times.is_owing
    assert not is_owing
    assert times.board() == {"last_order_venue_ms": 1_005_500}


def test_only_the_message_about_this_takeover_counts() -> None:
    """Another epoch's, another kind's and a second delivery change nothing."""
    clock = Clock()
    times = times_of(clock)
    passed: list[str] = []

    class Onward:
        def note(self, name: str, **_: str | float) -> None:
            passed.append(name)

    observer = DeliveryObserver(Onward(), times)
    times.begin(granted(7))
    for event_id in ("took_over:6", "gave_up:7:jetson", "startup:x"):
        observer.note("alert.delivered", event_id=event_id)
    observer.note("alert.queued", event_id="took_over:7")
    assert "alert_after_s" not in times.body()
    clock.move(2.0)
    observer.note("alert.delivered", event_id="took_over:7")
    clock.move(2.0)
    observer.note("alert.delivered", event_id="took_over:7")
    assert times.body()["alert_after_s"] == 2.0
    assert len(passed) == 6


def test_a_grant_begins_anew_and_the_board_keeps_the_closed_gate() -> None:
    clock = Clock()
    times = times_of(clock)
    times.begin(granted(7))
    times.note_active()
    times.note_closed()
    times.begin(granted(9, silent_s=None))
    assert set(times.body()) == {"granted_venue_ms"}
    assert times.board() == {"closed_epoch": 7, "closed_venue_ms": 1_000_000}


def test_an_unknown_venue_time_leaves_the_instants_out() -> None:
    clock = Clock()
    clock.venue_ms = None
    times = times_of(clock)
    times.begin(granted(7))
    times.note_active()
    times.note_closed()
    assert times.body() == {"silent_s": 6.2, "ready_after_s": 0.0}
    assert times.board() == {"closed_epoch": 7}

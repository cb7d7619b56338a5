"""The permit: when a write may begin, and when the fence goes."""

import threading
import time

import pytest

from election.clock import KernelClock
from election.errors import FenceUnavailable
from election.instants import instant_of
from election.kernel_fence import NoFence
from election.model import LeaseTiming
from election.permit import LeasePermit
from tests.support.manual_clock import ManualClock, RecordingFence

TIMING = LeaseTiming()  # ttl 6: gate 4.4 s, fence 5.4 s


class Desk:
    """A permit with a clock and a fence that the test moves."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.fence = RecordingFence()
        self.permit = LeasePermit(clock=self.clock, fence=self.fence, timing=TIMING)

    def opened(self) -> "Desk":
        assert self.permit.open(epoch=7, sent=self.clock.now())
        return self


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_permit_without_grant_is_closed(desk: Desk) -> None:
    """No grant, no right to send."""
    assert (desk.permit.epoch, desk.permit.reason) == (0, "no grant yet")
    assert desk.permit.remaining_s() <= 0
    assert not desk.permit.begin_write(epoch=0, needed_s=0.0)


def test_open_arms_fence_at_send_plus_nine_tenths(desk: Desk) -> None:
    """The fence stands at send + 0.9·ttl, the gate ends a guard earlier."""
    desk.opened()
    assert desk.fence.at_boot_s == pytest.approx(1005.4)
    assert desk.permit.remaining_s() == pytest.approx(4.4)
    assert (desk.permit.epoch, desk.permit.reason) == (7, "")


@pytest.mark.parametrize(
    ("epoch", "age_s", "needed_s", "is_allowed"),
    [
        pytest.param(7, 0.0, 1.0, True, id="fresh"),
        pytest.param(7, 3.39, 1.0, True, id="just long enough"),
        pytest.param(7, 3.41, 1.0, False, id="a moment too short"),
        pytest.param(7, 4.41, 0.0, False, id="closed by time"),
        pytest.param(6, 0.0, 1.0, False, id="prepared under an older epoch"),
        pytest.param(8, 0.0, 1.0, False, id="prepared under a later epoch"),
    ],
)
def test_begin_write_needs_epoch_and_time(
    desk: Desk, epoch: int, age_s: float, needed_s: float, is_allowed: bool
) -> None:
    """A write starts only if its own timeout fits into the permit of its own epoch."""
    desk.opened()
    desk.clock.advance(age_s)
    assert desk.permit.begin_write(epoch=epoch, needed_s=needed_s) is is_allowed


@pytest.mark.parametrize("clock", ["boot_s", "raw_s"])
def test_faster_clock_closes_the_gate(desk: Desk, clock: str) -> None:
    """R0: the holder believes the faster of its clocks (suspend, slewing)."""
    desk.opened()
    setattr(desk.clock, clock, 1004.5)
    assert desk.permit.remaining_s() <= 0


@pytest.mark.parametrize("clock", ["boot_s", "raw_s"])
def test_backward_clock_closes_the_gate(desk: Desk, clock: str) -> None:
    """Scenario 47: a clock that ran backwards proves nothing."""
    desk.clock.advance(10)
    desk.opened()
    setattr(desk.clock, clock, 1009.0)
    assert desk.permit.remaining_s() <= 0
    assert not desk.permit.begin_write(epoch=7, needed_s=0.0)


def test_extend_moves_fence_and_gate(desk: Desk) -> None:
    """Each counted renewal gives validity from its own send."""
    desk.opened()
    sent = desk.clock.advance(1.0)
    desk.clock.advance(0.5)
    assert desk.permit.extend(epoch=7, sent=sent)
    assert desk.fence.at_boot_s == pytest.approx(1006.4)
    assert desk.permit.remaining_s() == pytest.approx(3.9)


def test_older_acknowledgement_shortens_nothing(desk: Desk) -> None:
    """Acknowledgements out of order: the newest send counts."""
    early = desk.clock.now()
    desk.clock.advance(1.0)
    desk.opened()
    assert desk.permit.extend(epoch=7, sent=early)
    assert desk.permit.remaining_s() == pytest.approx(4.4)


@pytest.mark.parametrize("how", ["time", "close", "end_grant", "condemn"])
def test_acknowledgement_after_closing_neither_rearms_nor_reopens(desk: Desk, how: str) -> None:
    """Amendment "Kernel fence": closing is irrevocable for the epoch."""
    desk.opened()
    desk.clock.advance(1.0)
    if how == "time":
        desk.clock.advance(3.5)
    else:
        getattr(desk.permit, how)(reason="for the test")
    sent = desk.clock.now()
    goes_on = desk.permit.extend(epoch=7, sent=sent)
    assert goes_on is (how == "close")  # a draining grant is kept until its release
    assert desk.fence.at_boot_s == pytest.approx(1005.4)
    assert desk.permit.remaining_s() <= 0


def test_write_without_an_answer_lingers(desk: Desk) -> None:
    """R10: it may take effect until its deadline; a later one that is answered changes nothing."""
    desk.opened()
    permit = desk.permit
    for lingers_s in (1.5, 0.0, 0.4):
        assert permit.begin_write(epoch=7, needed_s=1.0)
        permit.end_write(lingers_s=lingers_s)
    assert permit.lingering_s() == pytest.approx(1.5)
    desk.clock.advance(0.5)
    assert permit.lingering_s() == pytest.approx(1.0)
    assert permit.begin_write(epoch=7, needed_s=1.0)
    permit.end_write(lingers_s=1.2)
    assert permit.lingering_s() == pytest.approx(1.2)
    permit.end_grant(reason="released")
    assert permit.lingering_s() == pytest.approx(1.2)  # the venue knows of no grants
    desk.clock.advance(1.3)
    assert permit.lingering_s() == 0.0


def test_fence_goes_only_after_the_last_write(desk: Desk) -> None:
    """Only with the gate closed and nothing in flight is the fence taken away."""
    desk.opened()
    permit = desk.permit
    assert permit.begin_write(epoch=7, needed_s=1.0)
    assert permit.begin_write(epoch=7, needed_s=1.0)
    permit.end_grant(reason="lapsed")
    assert not permit.settle()
    permit.end_write()
    assert not permit.is_settled
    assert desk.fence.is_armed()
    permit.end_write()
    assert not desk.fence.is_armed()
    assert permit.is_settled


def test_writes_under_way_are_told_before_they_can_leave_and_after_their_end() -> None:
    """R16: what a dead process leaves behind says whether a write was under way."""
    told: list[int] = []
    clock = ManualClock()
    permit = LeasePermit(
        clock=clock,
        fence=RecordingFence(),
        timing=TIMING,
        on_flight=lambda count, _until_s: told.append(count),
    )
    assert permit.open(epoch=7, sent=clock.now())
    for _ in range(2):
        assert permit.begin_write(epoch=7, needed_s=1.0)
    permit.end_write()
    assert told == [1, 2, 1]


def test_open_gate_is_never_settled(desk: Desk) -> None:
    """Nothing takes the fence away while the gate may be open."""
    desk.opened()
    assert not desk.permit.settle()
    desk.clock.advance(4.5)  # over by time, but nobody has said why
    assert not desk.permit.settle()
    assert desk.fence.is_armed()


def test_condemned_permit_keeps_its_fence(desk: Desk) -> None:
    """A crashed heartbeat must end the process: the fence stays."""
    desk.opened()
    desk.permit.condemn(reason="crashed")
    assert not desk.permit.settle()
    assert desk.fence.is_armed()
    assert desk.permit.remaining_s() <= 0


def test_condemned_permit_opens_for_no_grant(desk: Desk) -> None:
    """A heartbeat that crashed leads nobody: the process must end, not begin anew."""
    desk.permit.condemn(reason="the heartbeat crashed")
    assert not desk.permit.open(epoch=7, sent=desk.clock.now())
    assert desk.permit.remaining_s() <= 0
    assert not desk.fence.is_armed()


def test_draining_grant_keeps_its_epoch(desk: Desk) -> None:
    """Outcomes are journalled under the epoch while the gate is closed to drain."""
    desk.opened()
    desk.permit.close(reason="switchover")
    assert desk.permit.epoch == 7
    desk.permit.end_grant(reason="released")
    assert desk.permit.epoch == 0


def test_suspended_gate_opens_with_a_later_renewal(desk: Desk) -> None:
    """R0: after a clock step only a renewal sent after it opens the gate again."""
    desk.opened()
    before = desk.clock.advance(0.5)
    since = desk.clock.advance(0.5)
    desk.permit.suspend(since=since, reason="the wall clock was set")
    assert desk.permit.remaining_s() <= 0
    assert desk.permit.extend(epoch=7, sent=before)
    assert desk.permit.remaining_s() <= 0
    assert desk.permit.reason
    assert desk.permit.extend(epoch=7, sent=desk.clock.advance(0.1))
    assert desk.permit.remaining_s() > 4
    assert not desk.permit.reason


def test_suspension_during_an_attempt_outlasts_the_opening(desk: Desk) -> None:
    """R0: a grant whose round was sent before the step opens suspended."""
    sent = desk.clock.now()
    desk.permit.suspend(since=desk.clock.advance(0.1), reason="late tick")
    assert desk.permit.open(epoch=7, sent=sent)
    assert desk.permit.remaining_s() <= 0


def test_grant_too_old_does_not_open(desk: Desk) -> None:
    """R7: if validity is over on arrival, there is nothing to open."""
    sent = desk.clock.now()
    desk.clock.advance(4.41)
    assert not desk.permit.open(epoch=7, sent=sent)
    assert not desk.fence.is_armed()


def test_gate_stays_closed_when_the_fence_cannot_be_armed(desk: Desk) -> None:
    """If it cannot be armed the node is not eligible."""
    desk.fence.is_broken = True
    with pytest.raises(FenceUnavailable):
        desk.permit.open(epoch=7, sent=desk.clock.now())
    assert desk.permit.remaining_s() <= 0


def test_gate_closes_when_the_fence_cannot_be_moved(desk: Desk) -> None:
    """A fence that no longer moves ends the grant before it ends the process."""
    desk.opened()
    desk.fence.is_broken = True
    with pytest.raises(FenceUnavailable):
        desk.permit.extend(epoch=7, sent=desk.clock.advance(1.0))
    assert desk.permit.remaining_s() <= 0
    assert desk.permit.settle()
    assert not desk.fence.is_armed()


def test_new_epoch_opens_after_the_old_one_settled(desk: Desk) -> None:
    """A grant follows a grant only when nothing of the older one is left."""
    desk.opened()
    desk.permit.end_grant(reason="released")
    with pytest.raises(AssertionError):
        desk.permit.open(epoch=8, sent=desk.clock.now())
    desk.permit.settle()
    assert desk.permit.open(epoch=8, sent=desk.clock.now())
    assert not desk.permit.begin_write(epoch=7, needed_s=0.1)
    assert desk.permit.begin_write(epoch=8, needed_s=0.1)


def test_writes_from_many_threads_are_all_counted(desk: Desk) -> None:
    """The count in flight is exact under threads: a lost one would disarm or kill wrongly."""
    desk.opened()

    def work() -> None:
        for _ in range(500):
            assert desk.permit.begin_write(epoch=7, needed_s=0.1)
            desk.permit.end_write()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert desk.permit.in_flight == 0


def test_permit_check_takes_microseconds() -> None:
    """Budget: 50 µs a check on the order path (the best of many, a busy core must not matter)."""
    clock = KernelClock()
    permit = LeasePermit(clock=clock, fence=NoFence(), timing=LeaseTiming(ttl_ms=600_000))
    assert permit.open(epoch=1, sent=instant_of(clock.read()))
    best_s = 1.0
    for _ in range(200):
        begun = time.perf_counter()
        assert permit.begin_write(epoch=1, needed_s=1.0)
        best_s = min(best_s, time.perf_counter() - begun)
        permit.end_write()
    assert best_s < 50e-6

"""A demo that is kept: its market goes on at a pace that the request weights can bear."""

from dataclasses import dataclass, field

import pytest

from node.demo.main import KEPT_POINT_S, walk_slowly


@dataclass(slots=True)
class Steps:
    """A market and a clock in one; fails where told, and interrupts after the last step."""

    fails_at: tuple[int, ...] = ()
    seen: list[str] = field(default_factory=list)
    slept_s: list[float] = field(default_factory=list)

    def pause(self) -> None:
        """Stop walking by itself."""
        self._do("pause")

    def advance(self, *, points: int) -> None:
        """Walk some price points now."""
        self._do(f"advance {points}")

    def sleep(self, seconds: float) -> None:
        """Count the seconds; Ctrl-C comes in the fourth pause."""
        self.slept_s.append(seconds)
        if len(self.slept_s) == 4:
            raise KeyboardInterrupt

    def _do(self, what: str) -> None:
        self.seen.append(what)
        if len(self.seen) in self.fails_at:
            raise ConnectionRefusedError


def test_kept_market_walks_a_point_at_a_time() -> None:
    """The market stands still by itself and walks one point, then waits; until Ctrl-C."""
    steps = Steps()
    with pytest.raises(KeyboardInterrupt):
        walk_slowly(steps, sleep=steps.sleep)
    assert steps.seen == ["pause", *["advance 1"] * 4]
    assert steps.slept_s == [KEPT_POINT_S] * 4


def test_kept_demo_outlives_an_exchange_that_does_not_answer() -> None:
    """Who looks around may kill the exchange: the demo goes on and tries again."""
    steps = Steps(fails_at=(1, 3))
    with pytest.raises(KeyboardInterrupt):
        walk_slowly(steps, sleep=steps.sleep)
    assert steps.seen == ["pause", "pause", "advance 1", "advance 1", "advance 1"]

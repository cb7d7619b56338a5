"""A call that hangs is waited for a bounded time and is never joined by a second one."""

import threading

import pytest

from node.bounded import OneAtATime


async def test_a_quick_call_answers() -> None:
    """The answer comes in a tuple, so that None can be one."""
    assert await OneAtATime(60).run(lambda: None) == (None,)


async def test_a_hanging_call_takes_one_thread_only() -> None:
    """R8: every await of the work loop is bounded, and threads are few."""
    gate, calls = threading.Event(), []

    def hang() -> str:
        calls.append(1)
        assert gate.wait(60)
        return "late"

    line = OneAtATime(0.01)
    assert await line.run(hang) is None
    assert await line.run(hang) is None
    assert len(calls) == 1
    gate.set()
    patient = OneAtATime(60)
    assert await patient.run(lambda: "now") == ("now",)


async def test_an_error_is_the_callers() -> None:
    """A disk that refuses is not a disk that hangs."""

    def refuse() -> None:
        raise OSError("read-only")

    line = OneAtATime(60)
    with pytest.raises(OSError, match="read-only"):
        await line.run(refuse)
    assert await line.run(lambda: 1) == (1,)

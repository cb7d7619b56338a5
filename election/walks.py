"""Walks: what blocks, written so that something else than a thread may wait for it.

A walk is a generator. It yields each blocking call without making it, and goes on with its answer
or its error. In a real process `run_walk` makes the calls, one after another, in the thread that
asks; a simulation awaits them as events of its own. So both run the same decisions between them.
"""

from collections.abc import Callable, Generator
from typing import Any, TypeVar

T = TypeVar("T")
Walk = Generator[Callable[[], Any], Any, T]


def run_walk(walk: Walk[T]) -> T:
    """Make the calls of a walk, here and now; return what it comes to, or raise its error."""
    try:
        call = next(walk)
        while True:
            try:
                answer = call()
            except Exception as error:  # noqa: BLE001  (the walk decides what it means)
                call = walk.throw(error)
            else:
                call = walk.send(answer)
    except StopIteration as end:
        value: T = end.value
        return value

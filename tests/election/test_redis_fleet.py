"""Who is awaited when all stores are asked: a majority, and whoever did not fail just before."""

import threading
import time
from collections.abc import Iterator

import pytest

from election.address import StoreAddress
from election.connections import StoreConnection
from election.errors import StoreUnreachable
from election.model import StoreName
from election.redis_fleet import StoreFleet
from tests.support.until import until

# Long enough that a call which waited for the third store is told from one that did not.
GRACE_S = 20.0
X = StoreName("x")


class Bench:
    """Three stores; what x does is said by the test, y and z answer at once."""

    def __init__(self, *, needed: str = "") -> None:
        addresses = [
            StoreAddress(
                name=StoreName(n), host="127.0.0.1", port=1, old_list="old" if n == needed else ""
            )
            for n in "xyz"
        ]
        self.fleet = StoreFleet(addresses, request_timeout_ms=60_000, purpose="test")
        self.is_failing = False
        self.may_answer = threading.Event()

    def call(self, connection: StoreConnection, _: float) -> str:
        if connection.address.name != X:
            return "yes"
        if self.is_failing:
            raise StoreUnreachable("x: no answer")
        assert self.may_answer.wait(60)
        return "late"

    def ask(self) -> tuple[tuple[str, ...], float]:
        """Return who answered, and after how long."""
        begun_s = time.monotonic()
        found = self.fleet.ask(self.call, enough=self.fleet.quorum, grace_s=GRACE_S)
        return tuple(found.answers), time.monotonic() - begun_s


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.may_answer.set()
    bench.fleet.close()


async def test_a_store_whose_last_call_failed_is_not_awaited(bench: Bench) -> None:
    """A box without power costs a takeover nothing: each of its calls would have cost the grace."""
    bench.is_failing = True
    bench.ask()
    await until(lambda: bench.fleet.failing == {X})
    bench.is_failing = False  # its network swallows what is sent from now on
    answered, took_s = bench.ask()
    assert answered == ("y", "z")
    assert took_s < GRACE_S / 2


async def test_a_store_that_answers_again_is_awaited_again(bench: Bench) -> None:
    """Also when that answer came too late to be counted."""
    bench.is_failing = True
    bench.ask()
    await until(lambda: bench.fleet.failing == {X})
    bench.is_failing = False
    bench.ask()
    bench.may_answer.set()
    await until(lambda: not bench.fleet.failing)
    answered, _ = bench.ask()
    assert answered == ("x", "y", "z")


def test_a_store_that_is_only_slow_is_awaited_for_the_grace(bench: Bench) -> None:
    """What it knows is wanted while it is well."""
    threading.Timer(0.2, bench.may_answer.set).start()
    answered, _ = bench.ask()
    assert answered == ("x", "y", "z")


def test_a_needed_store_is_awaited_although_the_two_others_have_answered() -> None:
    """While the pair grows they decide nothing without it (election/quorum.py)."""
    bench = Bench(needed="x")
    threading.Timer(0.2, bench.may_answer.set).start()
    found = bench.fleet.ask(bench.call, enough=bench.fleet.quorum, grace_s=0.0)
    assert tuple(found.answers) == ("x", "y", "z")
    bench.fleet.close()


async def test_nobody_is_awaited_once_the_needed_store_has_failed() -> None:
    """Nothing can be decided any more: whoever is slow need not be heard."""
    bench = Bench(needed="y")
    begun_s = time.monotonic()

    def call(connection: StoreConnection, deadline_s: float) -> str:
        if connection.address.name == "y":
            raise StoreUnreachable("y: no answer")
        return bench.call(connection, deadline_s)

    found = bench.fleet.ask(call, enough=bench.fleet.quorum, grace_s=0.0)
    assert tuple(found.answers) == ("z",)
    assert time.monotonic() - begun_s < GRACE_S / 2
    bench.may_answer.set()
    bench.fleet.close()

"""A drill's cut: calls to a store fail, nothing is sent; off by default, bounded in time."""

import time
from collections.abc import Iterator

import pytest

from election.address import StoreAddress
from election.connections import StoreConnection
from election.cut import SECONDS_MAX, StoreCut
from election.errors import StoreUnreachable
from election.model import StoreName
from node.demo.stores import ServerMissing, StoreServer, find_server


@pytest.fixture(scope="module")
def server() -> Iterator[StoreServer]:
    """One real store."""
    try:
        program = find_server()
    except ServerMissing as missing:
        pytest.skip(str(missing))
    store = StoreServer("one", program=program, password="secret")
    try:
        store.start()
        yield store
    finally:
        store.close()


def test_nothing_is_cut_unless_somebody_cuts() -> None:
    cut = StoreCut(lambda: 0.0)
    assert not cut.is_cut("one")


def test_a_cut_ends_by_itself_on_its_own_clock() -> None:
    now = [100.0]
    cut = StoreCut(lambda: now[0])
    cut.cut(["one"], 5.0)
    assert (cut.is_cut("one"), cut.is_cut("two")) == (True, False)
    now[0] = 105.0
    assert not cut.is_cut("one")


def test_no_cut_lasts_longer_than_a_drill_may() -> None:
    """Whatever was asked for; and a shorter one does not end a longer one."""
    now = [0.0]
    cut = StoreCut(lambda: now[0])
    cut.cut(["one"], 1e9)
    cut.cut(["one"], 1.0)
    now[0] = SECONDS_MAX - 0.1
    assert cut.is_cut("one")
    now[0] = SECONDS_MAX
    assert not cut.is_cut("one")


def test_a_cut_can_be_mended() -> None:
    cut = StoreCut(lambda: 0.0)
    cut.cut(["one"], 5.0)
    cut.mend()
    assert not cut.is_cut("one")


def test_calls_fail_while_cut_and_work_again_afterwards(server: StoreServer) -> None:
    """To the rules it is a store that does not answer: StoreUnreachable, and nothing was sent."""
    now = [0.0]
    cut = StoreCut(lambda: now[0])
    address = StoreAddress(
        name=StoreName("one"), host=server.host, port=server.port, password="secret", cut=cut
    )
    connection = StoreConnection(address)
    call = ("INCR", "count")
    assert connection.call(*call, deadline_s=time.monotonic() + 5) == 1
    cut.cut(["one"], 5.0)
    with pytest.raises(StoreUnreachable, match="cut off by a drill"):
        connection.call(*call, deadline_s=time.monotonic() + 5)
    now[0] = 5.0
    assert connection.call(*call, deadline_s=time.monotonic() + 5) == 2
    connection.close()


def test_an_address_is_the_same_with_and_without_a_cut() -> None:
    """The cut is no part of where a store is."""
    plain = StoreAddress(name=StoreName("one"), host="h", port=1)
    cuttable = StoreAddress(name=StoreName("one"), host="h", port=1, cut=StoreCut())
    assert plain == cuttable
    assert "cut" not in repr(cuttable)

"""Which stores decide: any two sets that decide share a store, whichever lists may meet (R3, R13).

Exhaustive: all sets of stores of the old list {x}, the joint one {x, y, z} that needs x, and the
new one {x, y, z}.
"""

from itertools import chain, combinations, product

import pytest

from election.model import StoreName
from election.quorum import Quorum, quorum_of

X, Y, Z = (StoreName(n) for n in "xyz")
OLD, JOINT, NEW = Quorum((X,)), Quorum((X, Y, Z), X), Quorum((X, Y, Z))
Names = frozenset[StoreName]


def subsets(quorum: Quorum) -> list[Names]:
    sizes = range(len(quorum.stores) + 1)
    return [frozenset(c) for c in chain(*(combinations(quorum.stores, n) for n in sizes))]


def deciding(quorum: Quorum) -> list[Names]:
    return [names for names in subsets(quorum) if quorum.is_met(names)]


def strangers(one: Quorum, other: Quorum) -> list[tuple[Names, Names]]:
    """Return the pairs of deciding sets that share no store."""
    return [pair for pair in product(deciding(one), deciding(other)) if not pair[0] & pair[1]]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(OLD, OLD, id="old and old"),
        pytest.param(OLD, JOINT, id="old and joint"),
        pytest.param(JOINT, JOINT, id="joint and joint"),
        pytest.param(JOINT, NEW, id="joint and new"),
        pytest.param(NEW, NEW, id="new and new"),
    ],
)
def test_lists_that_may_meet_never_decide_without_a_common_store(
    one: Quorum, other: Quorum
) -> None:
    """S1: a store answers each of two contenders in turn; without one both would hold."""
    assert deciding(one)
    assert deciding(other)
    assert strangers(one, other) == []


def test_old_and_new_list_must_not_meet() -> None:
    """The two new stores are a majority by themselves: this is what the joint list is for."""
    assert strangers(OLD, NEW) == [(frozenset({X}), frozenset({Y, Z}))]


@pytest.mark.parametrize(
    ("quorum", "smallest"),
    [(OLD, ["x"]), (JOINT, ["xy", "xz"]), (NEW, ["xy", "xz", "yz"])],
    ids=["old", "joint", "new"],
)
def test_quorum_is_met_by_these_and_all_that_contain_them(
    quorum: Quorum, smallest: list[str]
) -> None:
    """The joint list: the needed store, and one more; never the two others alone."""
    for names in subsets(quorum):
        assert quorum.is_met(names) is any(set(least) <= names for least in smallest), names


@pytest.mark.parametrize(
    ("quorum", "smallest"),
    [(OLD, ["x"]), (JOINT, ["x", "yz"]), (NEW, ["xy", "xz", "yz"])],
    ids=["old", "joint", "new"],
)
def test_holder_may_be_named_by_these_and_all_that_contain_them(
    quorum: Quorum, smallest: list[str]
) -> None:
    """While the pair grows the other node may hold by the old store alone, or by two of three."""
    for names in subsets(quorum):
        assert quorum.may_name(names) is any(set(least) <= names for least in smallest), names


@pytest.mark.parametrize("one", [OLD, JOINT, NEW], ids=["old", "joint", "new"])
def test_whoever_decides_beside_the_joint_list_is_named_in_it(one: Quorum) -> None:
    """A node of the joint list sees every holder that it may meet."""
    assert all(JOINT.may_name(names) for names in deciding(one))


WAITS = [
    pytest.param(OLD, {X: 3.0}, 3.0, id="one store: its own wait"),
    pytest.param(OLD, {}, None, id="one store of which nothing is known"),
    pytest.param(NEW, {X: 1.0, Y: 5.0, Z: 3.0}, 3.0, id="three: the second"),
    pytest.param(NEW, {Y: 5.0, Z: 3.0}, 5.0, id="three, one unknown: the later"),
    pytest.param(NEW, {Z: 3.0}, None, id="three, two unknown"),
    pytest.param(JOINT, {X: 5.0, Y: 1.0, Z: 3.0}, 5.0, id="joint: the needed one is last"),
    pytest.param(JOINT, {X: 0.0, Y: 4.0, Z: 3.0}, 3.0, id="joint: the sooner of the others"),
    pytest.param(JOINT, {X: 0.0, Y: 4.0}, 4.0, id="joint: the other that is known"),
    pytest.param(JOINT, {Y: 0.0, Z: 0.0}, None, id="joint: the needed one is unknown"),
    pytest.param(JOINT, {X: 0.0}, None, id="joint: both others are unknown"),
]


@pytest.mark.parametrize(("quorum", "waits_s", "met_s"), WAITS)
def test_stores_decide_after_the_wait_of_the_last_that_counts(
    quorum: Quorum, waits_s: dict[StoreName, float], met_s: float | None
) -> None:
    assert quorum.is_met_in_s(waits_s) == met_s


@pytest.mark.parametrize("quorum", [OLD, JOINT, NEW], ids=["old", "joint", "new"])
def test_wait_is_over_exactly_when_the_ready_stores_decide(quorum: Quorum) -> None:
    """`is_met_in_s` and `is_met` agree over every order in which stores get ready."""
    for waits in product((1.0, 2.0, 3.0, None), repeat=len(quorum.stores)):
        known = {n: w for n, w in zip(quorum.stores, waits, strict=True) if w is not None}
        met_s = quorum.is_met_in_s(known)
        for at_s in (0.5, 1.0, 2.0, 3.0):
            ready = [name for name, wait_s in known.items() if wait_s <= at_s]
            assert quorum.is_met(ready) is (met_s is not None and met_s <= at_s), (known, at_s)


@pytest.mark.parametrize(
    ("quorum", "waits_s", "others_s"),
    [
        pytest.param(JOINT, {X: 9.0, Y: 4.0, Z: 3.0}, 3.0, id="joint: the sooner of the two"),
        pytest.param(JOINT, {Y: 4.0}, 4.0, id="joint: the one that is known"),
        pytest.param(JOINT, {X: 0.0}, None, id="joint: neither is known"),
        pytest.param(Quorum((X,), X), {}, 0.0, id="none beside the needed one"),
        pytest.param(NEW, {X: 1.0, Y: 5.0, Z: 3.0}, 3.0, id="without a needed one: the second"),
        pytest.param(NEW, {X: 1.0}, None, id="without a needed one: too few"),
    ],
)
def test_others_are_ready_after_the_wait_of_enough_of_them(
    quorum: Quorum, waits_s: dict[StoreName, float], others_s: float | None
) -> None:
    assert quorum.others_in_s(waits_s) == others_s


@pytest.mark.parametrize("needed", ["w", ""])
def test_needed_store_that_is_none_of_them_is_refused(needed: str) -> None:
    """Such a quorum could never be met: nobody would ever lead."""
    with pytest.raises(ValueError, match="is none of x, y, z"):
        Quorum((X, Y, Z), StoreName(needed))


def test_quorum_of_addresses_knows_the_needed_one() -> None:
    assert quorum_of([(X, True), (Y, False), (Z, False)]) == JOINT
    assert quorum_of([(Y, False), (X, True), (Z, False)]).needed == X
    assert quorum_of([(X, False), (Y, False), (Z, False)]) == NEW
    assert quorum_of([(X, False)]) == OLD


@pytest.mark.parametrize(("stores", "size"), [(1, 1), (3, 2), (5, 3)])
def test_more_than_half_of_all_stores_decide(stores: int, size: int) -> None:
    assert Quorum(tuple(StoreName(str(n)) for n in range(stores))).size == size

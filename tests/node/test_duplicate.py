"""R1 while the process runs: of two living processes with one node id exactly one ends."""

import itertools

import pytest

from election.member_record import MemberReading
from election.model import NodeId, StoreName
from node.duplicate import SIGHTINGS, DuplicateWatch
from node.role import Role, has_lease


def record(nonce: str, beat: int, role: str = "standby") -> MemberReading:
    return MemberReading(
        node_id=NodeId("jetson"),
        nonce=nonce,
        beat=beat,
        body={"role": role},
        age_s=0.1,
        stores=(StoreName("pi"),),
    )


def verdicts(
    mine: str, other: str, *, my_role: Role = Role.STANDBY, other_role: str = "standby"
) -> list[str]:
    """What a process says while the other's beat advances ten times."""
    watch = DuplicateWatch("jetson", mine)
    return [watch.step(record(other, beat, other_role), role=my_role) for beat in range(1, 11)]


@pytest.mark.parametrize(
    ("roles"), list(itertools.product(["starting", "standby", "active", "takeover"], repeat=2))
)
def test_exactly_one_of_two_ends(roles: tuple[str, str]) -> None:
    """Whatever the two do, one stays; never both end, and both stay only if both hold a lease."""
    first, second = roles
    ends_first = any(verdicts("a", "b", my_role=Role(first), other_role=second))
    ends_second = any(verdicts("b", "a", my_role=Role(second), other_role=first))
    both_hold = has_lease(Role(first)) and has_lease(Role(second))
    assert ends_first + ends_second == (0 if both_hold else 1)


def test_holder_stays_whatever_its_nonce() -> None:
    """R1: the living holder is unharmed by a copy."""
    assert not any(verdicts("z", "a", my_role=Role.ACTIVE))
    (said, *_) = [text for text in verdicts("a", "z", other_role="active") if text]
    assert "SD card" in said


def test_predecessor_that_is_dead_counts_for_nothing() -> None:
    """A beat that does not advance is what a killed process left on the board."""
    watch = DuplicateWatch("jetson", "z")
    seen = [record("a", 7), None, record("z", 1), record("a", 7)] * 10
    assert not any(watch.step(reading, role=Role.STANDBY) for reading in seen)


def test_few_late_writes_are_no_process() -> None:
    """Writes of a predecessor that were under way when it died may still arrive: they are few."""
    watch = DuplicateWatch("jetson", "z")
    said = [watch.step(record("a", beat), role=Role.STANDBY) for beat in range(1, SIGHTINGS + 1)]
    assert not any(said)
    assert watch.step(record("a", SIGHTINGS + 1), role=Role.STANDBY)


def test_role_of_a_newer_release_is_no_holder() -> None:
    """An unknown word does not crash the watch and claims no lease."""
    assert not any(verdicts("a", "b", other_role="dreaming"))
    assert any(verdicts("b", "a", other_role="dreaming"))

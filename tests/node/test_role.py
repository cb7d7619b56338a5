"""The role machine: every pair of the table, and nothing beside it."""

import itertools

import pytest

from node.role import TRANSITIONS, IllegalTransition, Role, Trigger, has_lease, step


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ([Trigger.READY], Role.STANDBY),
        ([Trigger.READY, Trigger.GRANTED], Role.TAKEOVER),
        ([Trigger.READY, Trigger.GRANTED, Trigger.RECONCILED], Role.ACTIVE),
        (
            [Trigger.READY, Trigger.GRANTED, Trigger.LEASE_LOST, Trigger.QUIET],
            Role.STANDBY,
        ),
        (
            [Trigger.READY, Trigger.GRANTED, Trigger.RECONCILED, Trigger.DRAIN, Trigger.DRAINED],
            Role.STANDBY,
        ),
        (
            [Trigger.READY, Trigger.GRANTED, Trigger.DRAIN, Trigger.LEASE_LOST],
            Role.FENCED,
        ),
    ],
    ids=[
        "a ready node stands by",
        "a grant starts a takeover, not trading",
        "only a reconciled takeover becomes active",
        "a lapse during takeover fences, then stands by",
        "a switchover drains before it stands by",
        "a lapse while draining fences",
    ],
)
def test_role_paths(path: list[Trigger], expected: Role) -> None:
    role = Role.STARTING
    for trigger in path:
        role = step(role, trigger)
    assert role is expected


@pytest.mark.parametrize(
    ("role", "trigger"),
    [pair for pair in itertools.product(Role, Trigger) if pair not in TRANSITIONS],
)
def test_role_pair_outside_the_table_is_refused(role: Role, trigger: Trigger) -> None:
    with pytest.raises(IllegalTransition):
        step(role, trigger)


def test_role_active_is_reached_from_takeover_only() -> None:
    """S4: nothing becomes active without having reconciled."""
    sources = {role for (role, _), target in TRANSITIONS.items() if target is Role.ACTIVE}
    assert sources == {Role.TAKEOVER}


def test_role_without_lease_never_counts_as_holder() -> None:
    assert {r for r in Role if has_lease(r)} == {Role.TAKEOVER, Role.ACTIVE, Role.DRAINING}

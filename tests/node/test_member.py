"""What a node says of itself: also that its work loop hangs, which the board would not show."""

from pathlib import Path

import pytest

from deploy.store_list import joint_text
from election.model import StoreName
from node.config import Config
from node.health import Health
from node.member import member_body
from node.role import Role
from tests.support.status_cases import THREE, make_config


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A pair with the default hang limit of five seconds."""
    return make_config(tmp_path)


def body_of(config: Config, health: Health, *, step_age_s: float | None) -> dict[str, object]:
    return dict(
        member_body(
            config,
            "jetson",
            health,
            "f",
            is_paused=False,
            now_wall_ms=1,
            now_s=100.0,
            step_age_s=step_age_s,
        )
    )


@pytest.mark.parametrize(
    ("step_age_s", "hangs"), [(None, False), (0.0, False), (5.0, False), (5.1, True), (600, True)]
)
def test_a_standby_that_hangs_is_no_spare(
    config: Config, step_age_s: float | None, *, hangs: bool
) -> None:
    """The board is fed beside the work loop: its last step must be young."""
    health = Health(role=Role.STANDBY, reasons=())
    reasons = body_of(config, health, step_age_s=step_age_s)["reasons"]
    assert isinstance(reasons, list)
    assert [r.partition(":")[0] for r in reasons] == (["work loop"] if hangs else [])


def test_the_age_of_the_last_proof_is_published(config: Config) -> None:
    """A leader in trouble hands over only to a node that has reached the venue since."""
    assert body_of(config, Health(), step_age_s=0)["venue_proof_age_s"] is None
    proven = Health(venue_proven_s=93.5)
    assert body_of(config, proven, step_age_s=0)["venue_proof_age_s"] == 6.5


@pytest.mark.parametrize(
    ("role", "answered", "is_fit"),
    [
        (Role.STANDBY, None, True),
        (Role.STANDBY, 3, True),
        (Role.STANDBY, 2, True),
        (Role.STANDBY, 1, False),
        (Role.STANDBY, 0, False),
        (Role.ACTIVE, 1, True),
    ],
)
def test_a_standby_that_reaches_no_majority_of_the_stores_is_no_spare(
    config: Config, role: Role, answered: int | None, *, is_fit: bool
) -> None:
    """Cut off from the others it still shows itself in the store on its own box (R13)."""
    health = Health(role=role, is_ready=True, venue_error="", reasons=())
    body = member_body(
        config,
        "jetson",
        health,
        "f",
        is_paused=False,
        now_wall_ms=1,
        now_s=100.0,
        step_age_s=0.0,
        stores_answered=None if answered is None else config.quorum.stores[:answered],
    )
    reasons = body["reasons"]
    assert isinstance(reasons, list)
    assert (reasons == []) is is_fit, reasons


@pytest.mark.parametrize(
    ("role", "answered", "joins_in_s", "words"),
    [
        (Role.STANDBY, ("raspberrypi", "jetson"), 0.0, []),
        (Role.STANDBY, ("jetson", "witness"), 0.0, ["it reaches 2 of 3, no majority"]),
        (Role.STANDBY, ("raspberrypi", "jetson"), 4.4, ["the new ones are watched for another 4"]),
        (Role.STANDBY, ("raspberrypi", "jetson"), None, ["none of the new ones answers"]),
        (Role.ACTIVE, ("jetson", "witness"), None, []),
    ],
)
def test_who_cannot_take_over_yet_on_the_way_to_three_stores_is_no_spare(
    tmp_path: Path,
    role: Role,
    answered: tuple[str, ...],
    joins_in_s: float | None,
    words: list[str],
) -> None:
    """Every decision needs the old store and a new one, which is watched for a ttl first."""
    body = member_body(
        make_config(tmp_path, joint_text(THREE, "raspberrypi")),
        "jetson",
        Health(role=role, is_ready=True, venue_error="", reasons=()),
        "f",
        is_paused=False,
        now_wall_ms=1,
        now_s=100.0,
        step_age_s=0.0,
        stores_answered=tuple(StoreName(name) for name in answered),
        joins_in_s=joins_in_s,
    )
    reasons = body["reasons"]
    assert isinstance(reasons, list)
    assert len(reasons) == len(words)
    assert all(said in reason for said, reason in zip(words, reasons, strict=True)), reasons

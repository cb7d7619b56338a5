"""A drill must not stop trading where the loss that it plays would; refusals are in words."""

from dataclasses import replace
from typing import Any

import pytest

from node.config_model import Config
from node.drill.model import DrillKind
from node.drill.rules import DrillPlan, list_refusals
from node.status_model import StatusView, Verdict
from tests.node.test_doctor_findings import facts_of
from tests.node.test_doctor_losses import SINGLE, THREE, TWO

EVERY = tuple(DrillKind)


def view(config: Config = THREE, **changes: object) -> StatusView:
    return replace(facts_of(config).status, **changes)  # type: ignore[arg-type]


def plan(kind: DrillKind, **changes: object) -> DrillPlan:
    target = "witness" if kind is DrillKind.STORE else "jetson"
    return replace(DrillPlan(kind=kind, target=target, here="raspberrypi"), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", EVERY)
def test_a_healthy_majority_may_be_drilled_in_every_way(kind: DrillKind) -> None:
    assert list_refusals(plan(kind), THREE, view()) == ()


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"is_paused": True, "pause_reason": "ada"}, "the cluster is paused"),
        ({"spares": ()}, "no fit spare"),
        ({"holder": None}, "nobody is known to trade"),
        ({"silent_s": 3.0}, "nobody is known to trade"),
        ({"verdict": Verdict.UNKNOWN}, "nobody is known to trade"),
    ],
)
def test_an_unfit_cluster_is_never_drilled(
    kind: DrillKind, changes: dict[str, Any], words: str
) -> None:
    """S6 and common sense: whichever drill, also when stops are accepted."""
    found = list_refusals(plan(kind, does_accept_stop=True), THREE, view(**changes))
    assert any(words in each for each in found)


@pytest.mark.parametrize("kind", EVERY)
def test_the_configuration_may_forbid_all_of_it(kind: DrillKind) -> None:
    forbidden = THREE.model_copy(
        update={"drills": THREE.drills.model_copy(update={"is_allowed": False})}
    )
    assert any("allows no drills" in r for r in list_refusals(plan(kind), forbidden, view()))


def test_one_drill_at_a_time() -> None:
    (found,) = list_refusals(plan(DrillKind.CRASH, running=("hang-1",)), THREE, view())
    assert "another drill is running: hang-1" in found


def test_the_only_store_is_not_drilled_away_unless_accepted() -> None:
    """R16: two boxes; the sentence names the way around it."""
    store = plan(DrillKind.STORE, target="raspberrypi")
    (found,) = list_refusals(store, TWO, view(TWO))
    assert "--accept-stop" in found
    assert list_refusals(replace(store, does_accept_stop=True), TWO, view(TWO)) == ()


def test_a_store_that_does_not_exist_is_named() -> None:
    (found,) = list_refusals(plan(DrillKind.STORE, target="attic"), THREE, view())
    assert "use one of: jetson, raspberrypi, witness" in found


def test_a_partition_that_costs_nothing_is_not_drilled() -> None:
    """The leader on the box of the only store goes on when it is cut off."""
    (found,) = list_refusals(plan(DrillKind.PARTITION), TWO, view(TWO, holder="raspberrypi"))
    assert "nothing would be drilled" in found
    assert list_refusals(plan(DrillKind.PARTITION), TWO, view(TWO)) == ()


def test_a_plug_is_watched_from_the_other_box() -> None:
    (found,) = list_refusals(plan(DrillKind.PLUG, here="jetson"), THREE, view())
    assert "on the standby's box" in found


def test_the_plug_of_the_box_with_the_only_store_needs_acceptance() -> None:
    leads = view(TWO, holder="raspberrypi")
    plug = plan(DrillKind.PLUG, target="raspberrypi", here="jetson")
    (found,) = list_refusals(plug, TWO, leads)
    assert "carries the store raspberrypi" in found
    assert list_refusals(replace(plug, does_accept_stop=True), TWO, leads) == ()
    assert list_refusals(plug, SINGLE, view(SINGLE, holder="raspberrypi")) == ()

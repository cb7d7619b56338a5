"""R16's table: what each single failure does, from where the lease stores are."""

import pytest

from node.config_model import Config
from node.doctor.losses import (
    Loss,
    has_majority_without,
    list_losses,
    loses_lease_when_cut,
    survives_box,
    survives_store,
    topology_row,
)
from node.doctor.report import render_losses

HOSTS = {"jetson": "192.168.1.10", "raspberrypi": "192.168.1.11", "witness": "192.168.1.12"}


def config_of(
    topology: str, *stores: str, nodes: tuple[str, ...] = ("jetson", "raspberrypi")
) -> Config:
    return Config.model_validate(
        {
            "cluster": {"name": "home", "topology": topology, "preferred_node": "jetson"},
            "nodes": {
                node: {"index": place, "host": f"192.168.1.{11 + place}"}
                for place, node in enumerate(nodes)
            },
            "stores": [{"name": name, "host": HOSTS.get(name, "192.168.1.99")} for name in stores],
            "strategies": [{"use": "hold", "symbols": ["BTC/USDT"]}],
        }
    )


TWO = config_of("two-boxes", "raspberrypi")
THREE = config_of("three-stores", "jetson", "raspberrypi", "witness")
ON_PRIMARY = config_of("two-boxes", "jetson")
THIRD = config_of("two-boxes", "nas")
SINGLE = config_of("single-host", "jetson", "raspberrypi", "witness")


@pytest.mark.parametrize(
    ("config", "where", "is_good"),
    [
        (TWO, "on raspberrypi, the standby's box", False),
        (THREE, "a majority of jetson, raspberrypi, witness", True),
        (ON_PRIMARY, "on jetson, the preferred node", False),
        (THIRD, "on nas, a third box", False),
        (SINGLE, "3 on one machine (single-host)", False),
    ],
)
def test_each_row_of_the_table_is_recognised(config: Config, where: str, is_good: bool) -> None:
    row = topology_row(config)
    assert (row.where, row.is_good) == (where, is_good)


@pytest.mark.parametrize(
    ("config", "jetson", "pi"),
    [(TWO, True, False), (THREE, True, True), (ON_PRIMARY, False, True), (THIRD, True, True)],
)
def test_which_box_may_be_lost(config: Config, jetson: bool, pi: bool) -> None:
    """The columns "A dies" and "B dies"."""
    assert (survives_box(config, "jetson"), survives_box(config, "raspberrypi")) == (jetson, pi)


def test_one_node_alone_survives_nothing() -> None:
    assert not survives_box(config_of("two-boxes", "nas", nodes=("jetson",)), "jetson")


def test_which_store_may_be_lost() -> None:
    """The column "Store dies": any one of three, never the only one."""
    assert all(survives_store(THREE, store.name) for store in THREE.stores)
    assert not survives_store(TWO, "raspberrypi")
    assert not has_majority_without(THREE, ("jetson", "witness"))


def test_who_must_stop_when_cut_off() -> None:
    """A node keeps the lease only with a majority on its own box."""
    assert loses_lease_when_cut(THREE, "jetson")
    assert loses_lease_when_cut(TWO, "jetson")
    assert not loses_lease_when_cut(TWO, "raspberrypi")


def loss(config: Config, what: str) -> Loss:
    return next(each for each in list_losses(config) if each.what.startswith(what))


def test_the_link_between_two_boxes_costs_a_takeover_or_nothing() -> None:
    """Two boxes: the side with the store goes on or takes over; a witness makes it harmless."""
    assert "if jetson led, it stops and raspberrypi takes over" in loss(TWO, "the link").effect
    assert not loss(TWO, "the link").stops
    assert loss(THREE, "the link").about_s == 0
    assert loss(THIRD, "the link").about_s == 0


def test_what_both_see_is_no_reason_to_hand_over() -> None:
    """Uplink and venue stop trading and end by themselves; Telegram stops nothing."""
    for config in (TWO, THREE):
        assert loss(config, "the home uplink").stops
        assert loss(config, "the venue").stops
        assert not loss(config, "Telegram").stops


def test_every_failure_of_the_list_is_there() -> None:
    """Each box, each store, the link, the uplink, Telegram, the venue."""
    told = [each.what for each in list_losses(THREE)]
    assert [w for w in told if w.startswith("the box ")] == [
        "the box jetson with its store",
        "the box raspberrypi with its store",
    ]
    assert [w for w in told if w.startswith("the store ")] == [
        "the store jetson",
        "the store raspberrypi",
        "the store witness",
    ]


def test_the_page_says_stop_in_capitals() -> None:
    text = render_losses(TWO, topology_row(TWO), list_losses(TWO))
    assert "the box raspberrypi with its store: TRADING STOPS" in text
    assert "the box jetson: trading goes on after at most about 7 s" in text
    assert "stops after 4.4 s" in text

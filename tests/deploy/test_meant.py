"""A slip in HOST= or in the inventory must not make one box out of another."""

from pathlib import Path

import pytest

from deploy.errors import InventoryRefused
from deploy.facts import read_facts
from deploy.inventory import FILE, BoxPlace, find_place
from deploy.meant import why_another, why_elsewhere
from node.config_model import Config
from node.init import GivenSecrets, write_cluster
from node.init_answers import Answers

ANSWERS = Answers(preferred_host="192.168.1.11", standby_host="192.168.1.12")
JETSON = BoxPlace(name="jetson", ssh="typed", is_node=True, has_store=False, has_paper=False)
WITNESS = BoxPlace(name="witness", ssh="typed", is_node=False, has_store=True, has_paper=False)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Two boxes."""
    return write_cluster(tmp_path, ANSWERS, GivenSecrets()).config


@pytest.mark.parametrize("place", [JETSON, WITNESS])
def test_a_box_with_another_node_is_not_the_one_that_is_meant(place: BoxPlace) -> None:
    """Else two boxes would call themselves jetson, and nobody would be the spare."""
    said = why_another(read_facts("node=raspberrypi\n"), place)
    assert f"typed is not {place.name}: node raspberrypi is deployed there" in said
    assert "make uninstall BOX=raspberrypi HOST=typed" in said


def test_a_fresh_box_and_the_nodes_own_may_be_the_one() -> None:
    assert not why_another(read_facts("node=\n"), JETSON)
    assert not why_another(read_facts("node=jetson\n"), JETSON)
    assert not why_another(read_facts("node=\n"), WITNESS)


def test_a_box_without_the_address_that_the_others_use_is_said(config: Config) -> None:
    """Its store could not listen there, and the other node would look for it in vain."""
    said = why_elsewhere(read_facts("addresses=192.168.1.57 10.8.0.2\n"), JETSON, config)
    assert "typed has not the address 192.168.1.11" in said
    assert "(nodes.jetson.host); it has: 192.168.1.57, 10.8.0.2" in said


@pytest.mark.parametrize("addresses", ["192.168.1.11", "fd00::1 192.168.1.11", "", "what?"])
def test_an_address_that_is_there_or_not_told_is_no_reason(config: Config, addresses: str) -> None:
    assert not why_elsewhere(read_facts(f"addresses={addresses}\n"), JETSON, config)


def test_a_host_name_is_not_judged(config: Config) -> None:
    node = config.nodes["jetson"].model_copy(update={"host": "jetson.lan"})
    named = config.model_copy(update={"nodes": {**config.nodes, "jetson": node}})
    assert not why_elsewhere(read_facts("addresses=192.168.1.57\n"), JETSON, named)


def test_a_name_in_the_inventory_that_is_no_box_is_a_slip(config: Config) -> None:
    """The box that was meant would be looked for at the address of cluster.toml."""
    inventory = config.directory / FILE
    inventory.write_text('[boxes.witness]\nssh = "w"\n[boxes.jetsn]\nssh = "pi@192.168.1.57"\n')
    with pytest.raises(InventoryRefused, match=r"no box jetsn\n.*jetson, raspberrypi"):
        find_place(config, "jetson")
    inventory.write_text("[boxes.jetson\n")
    with pytest.raises(InventoryRefused, match=r"at line 1.*\n    → each box is `\[boxes.NAME\]`"):
        find_place(config, "jetson")

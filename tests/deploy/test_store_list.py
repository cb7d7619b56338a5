"""What adding a witness changes in the laptop's files; nothing else of them."""

from pathlib import Path
from typing import cast

import pytest

from deploy.box import Box
from deploy.deployer import Wish
from deploy.errors import InventoryRefused
from deploy.growing import plan_witness
from deploy.settings import read_settings
from deploy.store_list import (
    difference,
    grown_inventory,
    grown_text,
    joint_text,
    read_grown,
    witness_address,
)
from node.config import load_config
from node.config_model import Config, Topology
from node.init import GivenSecrets, write_cluster
from node.init_answers import Answers

ANSWERS = Answers(preferred_host="192.168.1.11", standby_host="192.168.1.12")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """What `nodectl init` writes for two boxes."""
    return write_cluster(tmp_path, ANSWERS, GivenSecrets()).config


def text_of(config: Config) -> str:
    assert config.path is not None
    return config.path.read_text()


def test_the_stores_stand_after_the_present_one_and_all_else_stays(config: Config) -> None:
    """A node reads three stores, the present one as it was; each other line is untouched."""
    before = text_of(config)
    after = grown_text(before, config, "192.168.1.13")
    grown = read_grown(config, read_settings(config, after.encode()))
    assert grown.cluster.topology is Topology.THREE_STORES
    assert [(s.name, s.host, s.port) for s in grown.stores] == [
        ("raspberrypi", "192.168.1.12", 6379),
        ("jetson", "192.168.1.11", 6379),
        ("witness", "192.168.1.13", 6379),
    ]
    assert grown.stores[0] == config.stores[0]
    assert grown.directory == config.directory
    gone = [line for line in before.splitlines() if line not in after.splitlines()]
    assert gone == [
        'topology = "two-boxes"',
        "# The only store runs on the standby's box. Fixed LAN address.",
    ]
    assert "+topology" in difference("cluster.toml", before, after)
    assert text_of(config) == before


def test_comments_and_the_end_of_the_file_stay_where_they_belong(
    config: Config, tmp_path: Path
) -> None:
    """A comment above the next table stays there; the table may also be the last one."""
    head, _, tail = text_of(config).partition("[venue]\n")
    own = f"{head}# about the venue\n# two lines\n[venue]\n{tail}"
    after = grown_text(own, config, "nas.lan")
    assert "# about the venue\n# two lines\n[venue]\n" in after
    assert after.index('name = "witness"') < after.index("# about the venue")

    begin, store, rest = head.partition("[[stores]]")
    assert config.path is not None
    config.path.write_text(f"{begin}\n[venue]\n{tail}\n{store}{rest}".rstrip() + "\n")
    last = load_config(config.path, environ={})
    after = grown_text(text_of(last), last, "192.168.1.13")
    assert len(read_grown(last, read_settings(last, after.encode())).stores) == 3
    assert after.endswith("port = 6379\n")


def test_what_cannot_be_edited_or_is_impossible_is_refused(config: Config) -> None:
    """Nothing is guessed, and what a node would refuse is refused here."""
    text = text_of(config)
    with pytest.raises(InventoryRefused, match="lines of their own"):
        grown_text(text.replace('topology = "two-boxes"', ""), config, "192.168.1.13")
    no_host = config.model_copy(
        update={"nodes": {n: c.model_copy(update={"host": None}) for n, c in config.nodes.items()}}
    )
    with pytest.raises(InventoryRefused, match="give nodes"):
        grown_text(text, no_host, "192.168.1.13")
    same = grown_text(text, config, "192.168.1.12")
    with pytest.raises(InventoryRefused, match="also the address of raspberrypi"):
        read_grown(config, read_settings(config, same.encode()))


def test_an_overlay_that_says_topology_too_is_refused(config: Config) -> None:
    """It would win over the new text on the boxes."""
    overlay = config.directory / "cluster.test.toml"
    overlay.write_text('[cluster]\ntopology = "two-boxes"\n')
    after = grown_text(text_of(config), config, "192.168.1.13")
    with pytest.raises(InventoryRefused):
        read_grown(config, read_settings(config, after.encode()))


@pytest.mark.parametrize(
    ("said", "ssh", "addresses", "found"),
    [
        pytest.param("nas.lan", "x", ("192.168.1.13",), "nas.lan", id="said"),
        pytest.param("", "nas", ("10.0.0.1", "192.168.1.13"), "192.168.1.13", id="near"),
        pytest.param("", "pi@10.9.9.9", ("10.9.9.9",), "10.9.9.9", id="named by ssh"),
        pytest.param("", "pi@10.9.9.9", ("192.168.1.13",), "192.168.1.13", id="near wins"),
    ],
)
def test_the_witness_is_reached_in_the_stores_network(
    said: str, ssh: str, addresses: tuple[str, ...], found: str
) -> None:
    """ssh's name may be known to the laptop alone: the box's own address beside the store's."""
    assert witness_address(said, ssh, addresses, "192.168.1.12") == found


def test_an_address_that_cannot_be_told_is_asked_for() -> None:
    """Two in that network, and a name: said with ADDRESS=."""
    with pytest.raises(InventoryRefused, match="ADDRESS="):
        witness_address("", "nas", ("192.168.1.13", "192.168.1.14"), "192.168.1.12")


def test_the_inventory_gets_the_witness_once() -> None:
    """A second run finds it."""
    once = grown_inventory('[boxes.jetson]\nssh = "jetson"\n', "pi@192.168.1.13")
    assert once.endswith('\n\n[boxes.witness]\nssh = "pi@192.168.1.13"\n')
    assert grown_inventory(once, "elsewhere") == once


def test_a_file_for_the_way_becomes_the_one_at_its_end(config: Config) -> None:
    """Whoever went a part of it by hand may let the rest be done."""
    assert config.path is not None
    final = grown_text(text_of(config), config, "192.168.1.13")
    config.path.write_text(joint_text(final, "raspberrypi"))
    joint = load_config(config.path, environ={})
    assert joint.cluster.grown_from == "raspberrypi"
    plan = plan_witness(Wish(config=joint), cast("Box", None), "")
    assert (plan.config.cluster.grown_from, plan.config.config_id) == (None, joint.config_id)
    assert (plan.text, plan.files) == (final.encode(), {config.path: final})


def test_a_witness_that_is_in_the_file_is_not_moved_by_an_address(config: Config) -> None:
    """The list of stores would be another one: that is `nodectl stores replace`."""
    assert config.path is not None
    config.path.write_text(grown_text(text_of(config), config, "192.168.1.13"))
    wish = Wish(config=load_config(config.path, environ={}))
    for address in ("", "192.168.1.13"):
        assert plan_witness(wish, cast("Box", None), address).text is None
    with pytest.raises(InventoryRefused, match=r"ADDRESS=192\.168\.1\.99 counts for nothing"):
        plan_witness(wish, cast("Box", None), "192.168.1.99")

"""From one store to three: where the pair stands, what may be said, what a person does next."""

from pathlib import Path

import pytest

from deploy.store_list import joint_text
from election.control_record import ControlRecord
from election.member_record import MemberReading
from election.model import NodeId, StoreName
from election.peek import ClusterPeek, StorePeek
from node.config_model import Config
from node.errors import ConfigRefused
from node.growing import Growth, growth_of, is_expected, next_step, refuse_telling
from node.latches import STORES, Latches
from node.replacing import FRESH_S, replaced_reason
from tests.support.status_cases import THREE, TWO, make_config, make_record

NODES = ("jetson", "raspberrypi")


@pytest.fixture
def new(tmp_path: Path) -> Config:
    """The list that comes of it."""
    return make_config(tmp_path)


@pytest.fixture
def joint(tmp_path: Path) -> Config:
    """The list on the way there, from the store on the Pi."""
    return make_config(tmp_path, joint_text(THREE, "raspberrypi"))


def latches(config: Config | None = None, **value: object) -> Latches:
    """Return latches with the record that this list counts."""
    if config is None:
        return Latches(records={}, is_complete=True)
    said = {"config_id": config.config_id, "was": config.old_list_id, "is_announced": False}
    record = ControlRecord(
        kind=STORES,
        version=2,
        value={**said, "grown_from": "raspberrypi", **value},
        by="ann",
        at_ms=1,
        reason="",
    )
    return Latches(records={STORES: record}, is_complete=True)


def members(age_s: float = 0.5, **said: Config | None) -> dict[str, MemberReading]:
    """Return what nodes say of their lists; None for one that says an older release's nothing."""
    return {
        node: MemberReading(
            node_id=NodeId(node),
            nonce="n",
            beat=1,
            body={}
            if config is None
            else {"config_id": config.config_id, "old_list_id": config.old_list_id},
            age_s=age_s,
            stores=(),
        )
        for node, config in said.items()
    }


STORES_OF_IT = ("jetson", "raspberrypi", "witness")


def peeked(*answered: str, held: tuple[str, ...] = STORES_OF_IT) -> ClusterPeek:
    """Return a look at the three stores, of which these answered, and these name a leader."""
    return ClusterPeek(
        stores=tuple(
            StorePeek(
                name=StoreName(n),
                address_text=n,
                error=None if n in answered else f"{n}: no answer",
                is_needed=n == "raspberrypi",
                record=make_record("jetson", age_s=0.1) if n in held else None,
            )
            for n in STORES_OF_IT
        )
    )


def grown(config: Config, found: Latches, heard: dict[str, MemberReading]) -> Growth:
    growth = growth_of(config, found, heard)
    assert growth is not None
    return growth


def test_ids_of_the_three_lists(new: Config, joint: Config) -> None:
    """The joint list may act by either; its records are those of the old and the new list."""
    assert joint.config_id == new.config_id
    assert joint.list_ids == {new.config_id, joint.old_list_id}
    assert new.list_ids == {new.config_id}
    assert new.old_list_id == ""
    assert joint.quorum.needed == "raspberrypi"
    assert new.quorum.needed is None
    assert not replaced_reason(latches(joint), joint.list_ids)
    assert not replaced_reason(latches(joint), new.list_ids)
    assert replaced_reason(latches(joint), frozenset({joint.old_list_id}))


def test_only_one_of_three_stores_can_have_been_the_only_one(tmp_path: Path) -> None:
    """A needed store that no list has would stop every decision; with one list it says nothing."""
    for text in (
        joint_text(THREE, "elsewhere"),
        TWO.replace("[cluster]\n", '[cluster]\ngrown_from = "raspberrypi"\n'),
    ):
        with pytest.raises(ConfigRefused) as refused:
            make_config(tmp_path, text)
        assert [p.path for p in refused.value.problems] == ["cluster.grown_from"]


def test_a_pair_that_never_grew_has_no_way_to_go(new: Config) -> None:
    assert growth_of(new, latches(), {}) is None
    replaced = latches(new, grown_from=None)
    assert growth_of(new, replaced, {}) is None


def test_steps_in_their_order(new: Config, joint: Config) -> None:
    """What a person is told at each place, and when the next list may be said to count."""
    old = joint.model_copy(update={"stores": joint.stores[1:2]})
    old = old.model_copy(update={"cluster": old.cluster.model_copy(update={"grown_from": None})})
    assert old.config_id == joint.old_list_id
    everybody = peeked("jetson", "raspberrypi", "witness")

    at_first = grown(joint, latches(), members(jetson=old, raspberrypi=joint))
    assert at_first.behind == ("jetson",)
    assert "jetson does not show" in refuse_telling(at_first, everybody)
    assert 'grown_from = "raspberrypi"' in next_step(at_first, NODES)

    both = grown(joint, latches(), members(jetson=joint, raspberrypi=joint))
    assert (both.behind, both.joint) == ((), NODES)
    assert refuse_telling(both, everybody) == ""
    assert refuse_telling(both, peeked("jetson", "witness")) != ""
    for held in ((), ("raspberrypi",), ("jetson", "witness")):
        led = peeked("jetson", "raspberrypi", "witness", held=held)
        assert "nobody leads with the joint list yet" in refuse_telling(both, led), held
    led = peeked("jetson", "raspberrypi", "witness", held=("raspberrypi", "witness"))
    assert refuse_telling(both, led) == ""
    assert next_step(both, NODES).startswith("nodectl stores settle")

    told = grown(joint, latches(joint), members(jetson=new, raspberrypi=joint))
    assert (told.is_told, told.is_announced, told.joint) == (True, False, ("raspberrypi",))
    assert refuse_telling(told, peeked("jetson", "witness")) == ""  # two of the three are enough
    assert "too few" in refuse_telling(told, peeked("raspberrypi"))
    assert next_step(told, NODES).startswith("take grown_from out of cluster.toml on raspberrypi")

    last = grown(new, latches(joint), members(jetson=new, raspberrypi=new))
    assert (last.behind, last.joint) == ((), ())
    assert next_step(last, NODES) == "nodectl stores settle"
    over = grown(new, latches(joint, is_announced=True), members(jetson=new, raspberrypi=new))
    assert next_step(over, NODES) == ""
    off = grown(new, latches(joint, is_announced=True), members(jetson=new))
    assert (off.behind, next_step(off, NODES)) == (("raspberrypi",), "")
    unfinished = grown(new, latches(joint), members(jetson=new))
    assert "on raspberrypi" in next_step(unfinished, NODES)
    back = grown(new, latches(joint, is_announced=True), members(jetson=new, raspberrypi=joint))
    assert "on raspberrypi" in next_step(back, NODES)


def test_a_node_that_is_not_heard_is_behind(joint: Config) -> None:
    """Its card may have the old file: it is not said that the new list counts."""
    heard = members(jetson=joint, raspberrypi=joint)
    silent = members(FRESH_S + 1, raspberrypi=joint)
    growth = grown(joint, latches(), {**heard, **silent})
    assert growth.behind == ("raspberrypi",)
    assert refuse_telling(growth, peeked("jetson", "raspberrypi", "witness"))
    unsaid = grown(joint, latches(), {**heard, **members(raspberrypi=None)})
    assert unsaid.behind == ("raspberrypi",)


def test_the_file_of_yet_another_list_is_old(joint: Config) -> None:
    growth = grown(
        joint,
        latches(joint, config_id="elsewhere"),
        members(jetson=joint, raspberrypi=joint),
    )
    said = refuse_telling(growth, peeked("jetson", "raspberrypi", "witness"))
    assert "this cluster.toml is old" in said


@pytest.mark.parametrize(
    ("change", "is_quiet"),
    [({}, True), ({"is_announced": True}, False), ({"grown_from": None}, False)],
)
def test_the_old_stores_list_is_no_news_to_a_node_of_the_new_one(
    new: Config, joint: Config, change: dict[str, object], *, is_quiet: bool
) -> None:
    """Until the last step, and only where it is the old list that the store names."""
    found = latches(joint, **change)
    said = f"it was written under config id {joint.old_list_id}"
    assert is_expected(found, new, said) is is_quiet
    assert not is_expected(found, new, "it was written under config id 0123")
    assert not is_expected(found, joint, said)
    assert not is_expected(latches(), new, said)

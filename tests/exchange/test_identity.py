"""Client order ids: reversible, fixed width, checked; whose an order is."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.identity import (
    ALPHABET,
    COUNTER_MAX,
    EPOCH_MAX,
    ID_LENGTH,
    IdParts,
    Owner,
    cluster_tag,
    decode,
    encode,
    highest_epoch,
    node_tag,
    owner_of,
)

CLUSTERS = st.text(min_size=1, max_size=30).map(cluster_tag)
NODES = st.text(min_size=1, max_size=30).map(node_tag)
PARTS = st.builds(
    IdParts,
    cluster_tag=CLUSTERS,
    epoch=st.integers(0, EPOCH_MAX),
    node_tag=NODES,
    counter=st.integers(0, COUNTER_MAX),
)
MINE = cluster_tag("prod-home")


def make_id(epoch: int, *, cluster: str = MINE, counter: int = 7) -> str:
    parts = IdParts(cluster_tag=cluster, epoch=epoch, node_tag=node_tag("jetson"), counter=counter)
    return encode(parts)


@given(PARTS)
def test_decode_of_encode_gives_the_parts_back(parts: IdParts) -> None:
    """The other box can decode every id."""
    assert decode(encode(parts)) == parts


@given(PARTS)
def test_id_is_acceptable_to_every_venue(parts: IdParts) -> None:
    """18 lower-case letters and digits, first one a letter and not `t`."""
    text = encode(parts)
    assert len(text) == ID_LENGTH == 18
    assert set(text) <= set(ALPHABET)
    assert text[0] in string.ascii_lowercase
    assert text[0] != "t"


@given(PARTS, PARTS)
def test_different_parts_give_different_ids(one: IdParts, other: IdParts) -> None:
    """No two intents share an id."""
    assert (encode(one) == encode(other)) == (one == other)


@given(PARTS, st.integers(0, ID_LENGTH - 1), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_noticed(parts: IdParts, place: int, character: str) -> None:
    """ISO 7064 MOD 37,36 finds every single substitution."""
    text = encode(parts)
    changed = text[:place] + character + text[place + 1 :]
    assert changed == text or decode(changed) is None


@given(st.text(max_size=40))
def test_foreign_texts_are_not_ours(text: str) -> None:
    """What people and other programs write does not decode, and never raises."""
    assert decode(text) is None or len(text) == ID_LENGTH
    assert owner_of(text, cluster_tag="0000", my_epoch=1) is Owner.FOREIGN


@pytest.mark.parametrize(
    "text",
    [None, "", "x-TKT5PX2F0123456789", "web_1234", "h" * 18, make_id(3).upper(), make_id(3) + "0"],
    ids=["none", "empty", "ccxt's own", "a person's", "no check", "upper case", "too long"],
)
def test_owner_of_something_else_is_foreign(text: str | None) -> None:
    """Foreign orders are never touched."""
    assert owner_of(text, cluster_tag=MINE, my_epoch=3) is Owner.FOREIGN


@pytest.mark.parametrize(
    ("epoch", "owner"),
    [(4, Owner.OLDER_EPOCH), (5, Owner.MINE), (6, Owner.NEWER_EPOCH)],
    ids=["an earlier grant", "this grant", "a later grant: deposed"],
)
def test_owner_depends_on_the_epoch(epoch: int, owner: Owner) -> None:
    """Three owners, and the sign that I was deposed."""
    assert owner_of(make_id(epoch), cluster_tag=MINE, my_epoch=5) is owner


def test_owner_of_another_cluster_is_foreign() -> None:
    """Two clusters may share an account (profiles are parts of the cluster's name)."""
    other = make_id(5, cluster=cluster_tag("test-home"))
    assert owner_of(other, cluster_tag=MINE, my_epoch=5) is Owner.FOREIGN


def test_highest_epoch_is_the_floor_at_the_venue() -> None:
    """R7: the floor counts our cluster only."""
    ids = [make_id(3), None, "web_1", make_id(9, cluster=cluster_tag("x")), make_id(4)]
    assert highest_epoch(ids, cluster_tag=MINE) == 4
    assert highest_epoch([], cluster_tag=MINE) == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [("epoch", EPOCH_MAX + 1), ("epoch", -1), ("counter", COUNTER_MAX + 1), ("node_tag", "J1")],
    ids=["epoch too large", "epoch negative", "counter too large", "tag not base 36"],
)
def test_parts_that_do_not_fit_are_refused(field: str, value: int | str) -> None:
    """Fixed width: what does not fit must not be cut."""
    parts: dict[str, int | str] = {
        "cluster_tag": MINE,
        "epoch": 1,
        "node_tag": "0a",
        "counter": 0,
        field: value,
    }
    with pytest.raises(ValueError, match="was"):
        IdParts(**parts)  # type: ignore[arg-type]

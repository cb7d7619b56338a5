"""The venue's record: no id twice, no older epoch after a newer one, only this cluster's."""

import json
from pathlib import Path

from exchange.identity import IdParts, cluster_tag, encode, node_tag
from node.drill.placements import Placement, find_overlaps, find_twice, ours
from node.drill.venue_look import check_log
from tests.node.test_doctor_losses import THREE

TAG = cluster_tag(THREE.cluster_id)


def cid(epoch: int, counter: int, *, tag: str = TAG) -> str:
    return str(
        encode(IdParts(cluster_tag=tag, epoch=epoch, node_tag=node_tag("jetson"), counter=counter))
    )


def placements(*ids: str) -> list[Placement]:
    return [Placement(client_order_id=i, order=n, at_ms=n) for n, i in enumerate(ids)]


def test_epochs_in_order_are_fine() -> None:
    found = placements(cid(1, 0), cid(1, 1), "web_123", cid(2, 0), cid(5, 0))
    assert find_overlaps(found) == ()
    assert find_twice(p.client_order_id for p in found) == ()


def test_an_older_epoch_after_a_newer_one_is_found() -> None:
    """S1: two traders would show exactly so."""
    (problem,) = find_overlaps(placements(cid(1, 0), cid(2, 0), cid(1, 1), cid(2, 1)))
    assert "of epoch 1 arrived after" in problem


def test_an_id_that_came_twice_is_found() -> None:
    """S3: nothing is ever sent again."""
    assert find_twice([cid(1, 0), cid(1, 1), cid(1, 0)]) == (f"{cid(1, 0)} arrived 2 times",)


def test_other_clusters_and_people_are_none_of_our_business() -> None:
    other = cid(9, 0, tag=cluster_tag("prod-else"))
    assert ours(placements(cid(1, 0), other, "x", ""), TAG) == tuple(placements(cid(1, 0)))


def test_the_log_of_a_paper_exchange_is_read_up_to_a_line_that_is_being_written(
    tmp_path: Path,
) -> None:
    """Arrivals decide the order, not the clock; what was long before is left out."""
    lines = [
        {"client_order_id": cid(1, 0), "arrival": 1, "arrived_venue_ms": 1},
        {"client_order_id": cid(2, 0), "arrival": 3, "arrived_venue_ms": 1_000_010},
        {"client_order_id": cid(1, 1), "arrival": 2, "arrived_venue_ms": 1_000_020},
    ]
    text = "".join(
        json.dumps({"type": "request", "method": "POST", **line}) + "\n" for line in lines
    )
    path = tmp_path / "requests.jsonl"
    path.write_text(text + '{"type": "requ')
    found = check_log(path, THREE, since_ms=1_000_000)
    assert (found.orders, found.problems) == (2, ())

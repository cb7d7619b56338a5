"""What looks at the stores add up to: by a majority, by each store's own clock."""

from dataclasses import replace
from typing import Any

from election.member_record import MemberReading
from election.model import Incarnation, LeaseRecord, LeaseState, NodeId, StoreName, WriteId
from election.peek import ClusterPeek, StorePeek
from node.drill.track import Track, running_of, tickets_of
from tests.node.test_doctor_losses import THREE

NAMES = ("jetson", "raspberrypi", "witness")


def store(
    name: str, holder: str, epoch: int, age_s: float, bodies: dict[str, dict[str, Any]]
) -> StorePeek:
    record = LeaseRecord(
        cluster_id=THREE.cluster_id,
        config_id="c",
        node_id=NodeId(holder),
        nonce=f"nonce-{holder}",
        epoch=epoch,
        max_epoch=epoch,
        state=LeaseState.HELD,
        ttl_ms=6000,
        wid=WriteId("w"),
        inc=Incarnation("i"),
    )
    members = {
        NodeId(node): MemberReading(
            node_id=NodeId(node),
            nonce="n",
            beat=1,
            age_s=0.5,
            body=body,
            stores=(StoreName(name),),
        )
        for node, body in bodies.items()
    }
    return StorePeek(
        name=StoreName(name), address_text="", record=record, record_age_s=age_s, members=members
    )


def look(*seen: tuple[str, int, float], **bodies: dict[str, Any]) -> ClusterPeek:
    return ClusterPeek(
        stores=tuple(store(name, *each, bodies) for name, each in zip(NAMES, seen, strict=True))
    )


def track() -> Track:
    return Track(config=THREE, holder="jetson", epoch=7, target="witness")


def test_the_last_renewal_is_that_of_a_majority() -> None:
    """A leader that is cut off may go on renewing in its own store."""
    seen = track()
    seen.step(look(("jetson", 7, 0.1), ("jetson", 7, 0.4), ("jetson", 7, 0.2)), 100.0)
    assert seen.last_renewal_s == 99.8
    seen.step(look(("jetson", 7, 0.1), ("jetson", 7, 4.4), ("jetson", 7, 4.2)), 104.0)
    assert seen.last_renewal_s == 99.8
    assert seen.noticed_s == 104.0


def growing(*seen: tuple[str, int, float]) -> ClusterPeek:
    """Return a look while the pair grows from the first store."""
    first, *others = look(*seen).stores
    return ClusterPeek(stores=(replace(first, is_needed=True), *others))


def test_the_old_store_is_of_every_renewal_and_grant_while_the_pair_grows() -> None:
    """What the two others took without it counts neither as renewed nor as granted."""
    seen = track()
    seen.step(growing(("jetson", 7, 2.4), ("jetson", 7, 0.3), ("jetson", 7, 0.2)), 100.0)
    assert seen.last_renewal_s == 97.6
    taken = (("raspberrypi", 8, 0.25), ("raspberrypi", 8, 0.5), ("raspberrypi", 8, 0.75))
    seen.step(growing(*taken), 101.0)
    assert seen.granted_s == 100.75  # the first two of three were not the old store's


def test_a_late_renewal_is_no_silence() -> None:
    """What was noticed too early is forgotten when the next renewal comes."""
    seen = track()
    seen.step(look(*[("jetson", 7, 3.5)] * 3), 100.0)
    noticed_s = seen.noticed_s
    assert noticed_s == 100.0
    seen.step(look(*[("jetson", 7, 0.2)] * 3), 100.5)
    noticed_s = seen.noticed_s
    assert noticed_s is None
    assert seen.longest_gap_s >= 3.5


def test_the_grant_is_when_a_majority_was_written_and_stays() -> None:
    """By the stores' clocks, also when the look came later."""
    seen = track()
    seen.step(look(*[("jetson", 7, 0.2)] * 3), 100.0)
    seen.step(look(("jetson", 7, 6.6), ("raspberrypi", 8, 0.3), ("raspberrypi", 8, 0.1)), 106.4)
    assert (seen.new_holder, seen.new_epoch) == ("raspberrypi", 8)
    granted_s = seen.granted_s
    assert granted_s is not None
    assert abs(granted_s - 106.3) < 1e-6
    seen.step(look(*[("raspberrypi", 8, 0.1)] * 3), 107.0)
    assert seen.granted_s == granted_s
    assert seen.last_renewal_s == 99.8


def test_a_minority_is_no_grant() -> None:
    seen = track()
    seen.step(look(("jetson", 7, 1.0), ("jetson", 7, 1.0), ("raspberrypi", 8, 0.1)), 100.0)
    assert seen.new_epoch is None
    assert seen.new_holder == "jetson"


def test_the_last_order_of_the_old_leader_is_kept_over_its_next_life() -> None:
    """A process that is back counts its orders anew."""
    seen = track()
    old = {"shift": {"last_order_venue_ms": 5_000}}
    seen.step(look(*[("jetson", 7, 0.2)] * 3, jetson=old), 100.0)
    seen.step(look(*[("raspberrypi", 8, 0.2)] * 3, jetson={"shift": {}}), 110.0)
    assert seen.last_order_ms == 5_000


def test_spares_running_drills_and_tickets_are_read_off_the_board() -> None:
    seen = track()
    pi = {"role": "standby", "reasons": [], "drill": {"ticket": "t1", "running": "store-1"}}
    jetson = {"role": "active", "drill": {"ticket": "t2", "running": ""}}
    picture = look(*[("jetson", 7, 0.2)] * 3, raspberrypi=pi, jetson=jetson)
    seen.step(picture, 100.0)
    assert seen.spares == ("raspberrypi",)
    assert seen.is_trading
    assert seen.is_running("store-1")
    assert tickets_of(picture) == {"jetson": "t2", "raspberrypi": "t1"}
    assert running_of(picture) == ("store-1",)

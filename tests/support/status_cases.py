"""Clusters as `nodectl status` may find them, built from the stored forms."""

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from election.control_record import parse_controls
from election.member_record import parse_members
from election.model import Incarnation, LeaseRecord, LeaseState, NodeId, StoreName, WriteId
from election.peek import ClusterPeek, StorePeek
from exchange.identity import IdParts, cluster_tag, encode, node_tag
from exchange.intents import IntentRecord, IntentState
from exchange.journal import Journal
from exchange.model import OrderIntent, OrderType, Position, Side, TimeInForce
from exchange.positions import PositionRecord
from node.config import Config, load_config

NOW_MS = 1_795_348_800_000  # 2026-11-22 12:00:00 UTC
NOW_US = NOW_MS * 1000
EPOCH = 7
ADDRESSES = {
    "jetson": "192.168.1.11:6379",
    "raspberrypi": "192.168.1.12:6379",
    "witness": "192.168.1.13:6379",
}
NAMES = tuple(ADDRESSES)

THREE = """
[cluster]
name = "home"
profile = "test"
topology = "three-stores"
preferred_node = "jetson"

[nodes.jetson]
label = "Jetson in the hall"
index = 0

[nodes.raspberrypi]
label = "Pi in the attic"
index = 1

[[stores]]
name = "jetson"
host = "192.168.1.11"

[[stores]]
name = "raspberrypi"
host = "192.168.1.12"

[[stores]]
name = "witness"
host = "192.168.1.13"

[venue]
base_url = "http://192.168.1.12:8800"

[[strategies]]
use = "grid"
symbols = ["BTC/USDT"]

[[strategies]]
use = "trend"
symbols = ["ETH/USDT"]
"""

TWO = THREE.replace("three-stores", "two-boxes")
TWO = TWO[: TWO.index("[[stores]]")] + '[[stores]]\nname = "raspberrypi"\n' + (
    'host = "192.168.1.12"\n' + TWO[TWO.index("[venue]") :]
)  # fmt: skip


def make_config(folder: Path, text: str = THREE) -> Config:
    """Write and load a cluster.toml."""
    path = folder / "cluster.toml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, environ={})


def make_record(
    node_id: str, *, age_s: float, epoch: int = EPOCH, state: LeaseState = LeaseState.HELD
) -> LeaseRecord:
    """A lease record that was written `age_s` ago."""
    return LeaseRecord(
        cluster_id="test-home",
        config_id="c",
        node_id=NodeId(node_id),
        nonce="n",
        epoch=epoch,
        max_epoch=epoch,
        state=state,
        ttl_ms=6000,
        wid=WriteId("w"),
        inc=Incarnation("r:m"),
        written_us=NOW_US - int(age_s * 1e6),
    )


def make_member(role: str, *, age_s: float = 0.4, **body: Any) -> str:
    """A member board entry seen `age_s` ago."""
    facts: dict[str, Any] = {
        "role": role,
        "reasons": [],
        "venue_ok": True,
        "venue_error": "",
        "clock_error_ms": 12.3,
        "temperature_c": 45.2,
        "memory_mb": 88.4,
        "cpu_percent": 1.2,
        "disk_free_mb": 9000,
        "uptime_s": 7300,
        "version": "0.1.0",
        "fingerprint": "3f2a9c0d4e5b",
        "since_wall_ms": NOW_MS - 3_600_000,
        **body,
    }
    seen_us = NOW_US - int(age_s * 1e6)
    return json.dumps({"nonce": "n", "beat": 1, "seen_us": seen_us, "body": facts})


def make_intent(number: int, *, state: IntentState, price: str, side: Side) -> IntentRecord:
    """One grid order of the present epoch."""
    intent = OrderIntent(
        client_order_id=encode(
            IdParts(
                cluster_tag=cluster_tag("test-home"),
                epoch=EPOCH,
                node_tag=node_tag("jetson"),
                counter=number,
            )
        ),
        symbol="BTC/USDT",
        side=side,
        type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        amount=Decimal("0.0005"),
        price=Decimal(price),
        tag=f"grid-{number}",
        epoch=EPOCH,
        node_id="jetson",
        created_wall_ms=NOW_MS - 95_000,
    )
    return IntentRecord(intent=intent, state=state, deadline_venue_ms=NOW_MS)


def make_ledger(*, unknown: bool = False) -> Mapping[str, str]:
    """A position, resting orders, a takeover; one order unclear where asked."""
    third = IntentState.UNKNOWN if unknown else IntentState.OPEN
    journal, _ = Journal().edit(
        epoch=EPOCH,
        intents=[
            make_intent(1, state=IntentState.OPEN, price="63500", side=Side.BUY),
            make_intent(2, state=IntentState.OPEN, price="64500", side=Side.SELL),
            make_intent(3, state=third, price="63000", side=Side.BUY),
        ],
        positions=[
            PositionRecord(
                position=Position(
                    symbol="BTC/USDT",
                    amount=Decimal("0.0015"),
                    cost_quote=Decimal("96.15"),
                    realised_quote=Decimal("-3.2"),
                    day="2026-11-22",
                )
            )
        ],
        takeovers={
            EPOCH: {
                "node_id": "jetson",
                "at_wall_ms": NOW_MS - 3_600_000,
                "gap_s": 6.31,
                "reason": "raspberrypi was silent",
                "orders_kept": 2,
                "orders_cancelled": 1,
                "orders_unclear": 0,
            }
        },
    )
    return journal.documents()


def make_control(*, is_paused: bool = False) -> Mapping[str, str]:
    """The control records of a cluster that has been started once."""
    at = {"v": 1, "at_ms": NOW_MS - 9_000_000, "by": "paul on laptop"}
    pause = {**at, "version": 3, "value": {"is_paused": is_paused}, "reason": "new router"}
    born = {**at, "version": 1, "value": {"born_ms": 1}, "reason": "first start"}
    return {"pause": json.dumps(pause), "cluster": json.dumps(born)}


def make_store(name: str, **changed: Any) -> StorePeek:
    """A store of a healthy cluster, from the texts that it keeps."""
    facts: dict[str, Any] = {
        "record": make_record("jetson", age_s=0.6),
        "members": {"jetson": make_member("active"), "raspberrypi": make_member("standby")},
        "ledger": make_ledger(),
        "control": make_control(),
        **changed,
    }
    record = facts["record"]
    members, unread = parse_members(facts["members"], now_us=NOW_US, store=StoreName(name))
    control, unread_control = parse_controls(facts["control"])
    return StorePeek(
        name=StoreName(name),
        address_text=ADDRESSES[name],
        server_version="7.0.15",
        record=record,
        record_age_s=None if record is None else (NOW_US - record.written_us) / 1e6,
        members=members,
        control=control,
        documents=facts["ledger"],
        problems=(*unread, *unread_control),
    )


def make_down(name: str) -> StorePeek:
    """A store that does not answer."""
    return StorePeek(
        name=StoreName(name),
        address_text=ADDRESSES[name],
        error=f"store {name} ({ADDRESSES[name]}): connection refused",
    )


def make_peek(*stores: StorePeek) -> ClusterPeek:
    """One look at the given stores."""
    return ClusterPeek(stores=stores)


def all_with(**changed: Any) -> tuple[StorePeek, ...]:
    """Three stores that say the same."""
    return tuple(make_store(name, **changed) for name in NAMES)


def holder_dead() -> tuple[StorePeek, ...]:
    """The Jetson lost power 3.4 s ago, with its store."""
    members = {
        "jetson": make_member("active", age_s=3.5),
        "raspberrypi": make_member("standby"),
    }
    record = make_record("jetson", age_s=3.4)
    return (
        make_down("jetson"),
        *(make_store(n, members=members, record=record) for n in NAMES[1:]),
    )


def standby_dead() -> tuple[StorePeek, ...]:
    """The Pi lost power a minute ago, with its store."""
    members = {
        "jetson": make_member("active"),
        "raspberrypi": make_member("standby", age_s=61),
    }
    return (
        make_store("jetson", members=members),
        make_down("raspberrypi"),
        make_store("witness", members=members),
    )


def sick_standby() -> tuple[StorePeek, ...]:
    """The Pi runs but cannot take over."""
    sick = make_member(
        "standby",
        venue_ok=False,
        venue_error="no answer within 4 s",
        reasons=["venue: no answer within 4 s", "temperature: 91 °C in cpu-thermal, above 85 °C"],
    )
    return all_with(members={"jetson": make_member("active"), "raspberrypi": sick})


PAUSED = ["the cluster is paused: new router (by paul on laptop)"]

CASES: Mapping[str, tuple[Callable[[], tuple[StorePeek, ...]], int]] = {
    "healthy": (all_with, 0),
    "holder_dead": (holder_dead, 2),
    "standby_dead": (standby_dead, 1),
    "standby_sick": (sick_standby, 1),
    "one_store_down": (lambda: (*all_with()[:2], make_down("witness")), 0),
    "two_stores_down": (lambda: (all_with()[0], *map(make_down, NAMES[1:])), 3),
    "no_store": (lambda: tuple(make_down(n) for n in NAMES), 3),
    "paused": (
        lambda: all_with(
            control=make_control(is_paused=True),
            members={
                "jetson": make_member("active", reasons=PAUSED),
                "raspberrypi": make_member("standby", reasons=PAUSED),
            },
        ),
        2,
    ),
    "unknown_order": (lambda: all_with(ledger=make_ledger(unknown=True)), 0),
    "taking_over": (
        lambda: all_with(
            record=make_record("raspberrypi", age_s=0.3, epoch=8),
            members={
                "jetson": make_member("active", age_s=8.0),
                "raspberrypi": make_member("takeover"),
            },
        ),
        2,
    ),
    "released": (
        lambda: all_with(
            record=make_record("jetson", age_s=2, state=LeaseState.RELEASED),
            members={
                "jetson": make_member("standby"),
                "raspberrypi": make_member("standby"),
            },
        ),
        2,
    ),
    "stopped_by_sigterm": (
        lambda: all_with(
            record=make_record("jetson", age_s=4.5, state=LeaseState.RELEASED),
            members={
                "jetson": make_member("active", age_s=4.9),
                "raspberrypi": make_member("standby", age_s=8.3),
            },
        ),
        2,
    ),
    "no_control_records": (lambda: all_with(control={}), 2),
}

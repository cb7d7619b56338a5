"""Writes and reads what releases exchange; run by this tree and by an older one.

Usage: `python release_script.py write` prints documents, latches, a member record and outbox lines
as JSON; `... read` takes the same from stdin and prints what it understood, as far as
two releases must agree on it. Rules of this file: it uses only what both releases have.
"""

import json
import sys
from decimal import Decimal
from typing import Any

from alerts.changes import Added
from alerts.codec import parse_change, render_change
from alerts.model import AlertEvent, Kind, Verdict
from election.control_record import ControlRecord, parse_control, render_control
from election.member_record import parse_member
from election.model import StoreName
from exchange.identity import IdParts, cluster_tag, encode, node_tag
from exchange.intents import FINAL, IntentRecord, IntentState
from exchange.journal import Journal, merge
from exchange.model import OrderIntent, OrderType, Position, Side, TimeInForce, VenueOrderId
from exchange.positions import PositionRecord
from node.latches import merge_latches

SYMBOL = "ETH/USDT"
# What the other side relies on; a release may say more.
BODY = {
    "role": "standby",
    "reasons": ["venue: cut"],
    "is_paused": False,
    "config_id": "c0ffee",
    "fingerprint": "b6dc4d01b398",
    "account": "1001",
    "version": "0.1.0",
}
KINDS = ("pause", "loss_limit", "cluster", "switchover", "accept", "not_known_to_anybody")


def journal_documents() -> dict[str, str]:
    """Return one document of each kind, and an intent in each state that is not final."""
    intents = [
        IntentRecord(
            intent=OrderIntent(
                client_order_id=encode(
                    IdParts(
                        cluster_tag=cluster_tag("test-desk"),
                        epoch=3,
                        node_tag=node_tag("jetson"),
                        counter=number,
                    )
                ),
                symbol=SYMBOL,
                side=Side.BUY,
                type=OrderType.LIMIT,
                time_in_force=TimeInForce.GTC,
                amount=Decimal("0.0205"),
                price=Decimal("1931.47"),
                tag=f"b{number}",
                epoch=3,
                node_id="jetson",
                created_wall_ms=1_700_000_000_000,
            ),
            state=state,
            deadline_venue_ms=1_700_000_005_000,
            venue_order_id=VenueOrderId("42"),
            filled=Decimal("0.001"),
        )
        for number, state in enumerate(state for state in IntentState if state not in FINAL)
    ]
    journal, _ = Journal().edit(
        epoch=3,
        intents=intents,
        positions=[PositionRecord(position=Position(symbol=SYMBOL, amount=Decimal("0.5")))],
        states={SYMBOL: {"reference": "2000.10"}},
        takeovers={3: {"reason": "jetson was silent", "gap_s": 6.2}},
    )
    return dict(journal.documents())


def control_records() -> dict[str, str]:
    """Return one latch of each kind, and one of a kind that no release knows yet."""
    return {
        kind: render_control(
            ControlRecord(
                kind=kind,
                version=7,
                value={"is_paused": True, "account": "1001", "born_ms": 5, "later": {"a": [1]}},
                by="jetson",
                at_ms=1_700_000_000_000,
                reason="the owner looks",
            )
        )
        for kind in KINDS
    }


def outbox_lines() -> list[str]:
    """Return one line for each kind of message that this release can tell."""
    return [
        render_change(
            Added(
                number=number,
                event=AlertEvent(
                    event_id=f"e{number}",
                    kind=kind,
                    verdict=Verdict.LOOK,
                    created_wall_ms=1_700_000_000_000,
                    cluster="test-desk",
                    node_id="jetson",
                    epoch=3,
                    facts={"reason": "jetson was silent"},
                ),
            )
        )
        for number, kind in enumerate(Kind, start=1)
    ]


def write() -> dict[str, Any]:
    """Return everything as texts."""
    return {
        "documents": journal_documents(),
        "controls": control_records(),
        "outbox": outbox_lines(),
        "kinds": list(Kind),
        "member": json.dumps({"nonce": "n", "beat": 5, "seen_us": 1_000_000, "body": BODY}),
    }


def read(texts: dict[str, Any]) -> dict[str, Any]:
    """Return what this release understands of it."""
    merged = merge([("the other release", texts["documents"])])
    controls = {kind: parse_control(kind, text) for kind, text in texts["controls"].items()}
    latches, _ = merge_latches(controls, is_first_start_allowed=False)
    outbox = []
    for line in texts["outbox"]:
        try:
            change = parse_change(line)
        except Exception as error:  # noqa: BLE001  (what is not understood is the answer)
            outbox.append(f"{type(error).__name__}")
        else:
            outbox.append(render_change(change))
    member = parse_member("jetson", texts["member"], now_us=2_000_000, store=StoreName("pi"))
    return {
        "damages": [f"{d.key}: {d.why}" for d in merged.damages],
        "documents": dict(merged.journal.documents()),
        "controls": {kind: render_control(r) for kind, r in latches.records.items()},
        "is_paused": latches.is_paused,
        "account": latches.account,
        "outbox": outbox,
        "member": dict(member.body),
    }


if __name__ == "__main__":
    is_reading = sys.argv[1] == "read"
    json.dump(read(json.load(sys.stdin)) if is_reading else write(), sys.stdout)

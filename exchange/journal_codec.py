"""Journal documents as text: one JSON object each, `{"v":1,"epoch":E,"seq":N,"body":{...}}`.

Rules of this file: rendering is canonical (sorted keys, no spaces), so that equal values are
equal texts; money is a string; parsing checks everything and returns a Damage instead of
raising, because one bad document must not take the others with it. A higher `v` is a newer
release's document and is not guessed at.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from exchange.identity import decode
from exchange.intents import IntentRecord, IntentState, Stamp
from exchange.model import (
    ClientOrderId,
    OrderIntent,
    OrderType,
    Position,
    Side,
    TimeInForce,
    VenueOrderId,
)
from exchange.positions import PositionRecord, fill_number

FORMAT_VERSION: Final = 1
INTENT: Final = "intent:"
POSITION: Final = "position:"
STATE: Final = "state:"
TAKEOVER: Final = "takeover:"


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionEntry:
    """A position record, with the intents of its symbol that were alive when it was written."""

    record: PositionRecord
    alive: frozenset[ClientOrderId]
    stamp: Stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class StateEntry:
    """What the strategy of a symbol remembers; the body belongs to strategy/ and node/."""

    symbol: str
    body: Mapping[str, Any]
    stamp: Stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeoverEntry:
    """Report of one takeover; the body belongs to node/."""

    epoch: int
    body: Mapping[str, Any]
    stamp: Stamp


Document = IntentRecord | PositionEntry | StateEntry | TakeoverEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """A document that could not be read: which one, whose copy, and why."""

    key: str
    source: str
    why: str


def render_intent(record: IntentRecord) -> tuple[str, str]:
    """Return key and text of an intent."""
    intent = record.intent
    body = {
        "state": record.state.value,
        "symbol": intent.symbol,
        "side": intent.side.value,
        "type": intent.type.value,
        "time_in_force": intent.time_in_force.value,
        "amount": str(intent.amount),
        "price": None if intent.price is None else str(intent.price),
        "tag": intent.tag,
        "node_id": intent.node_id,
        "created_wall_ms": intent.created_wall_ms,
        "deadline_venue_ms": record.deadline_venue_ms,
        "venue_order_id": record.venue_order_id,
        "filled": str(record.filled),
        "reason": record.reason,
        "adopted_epoch": record.adopted_epoch,
    }
    return f"{INTENT}{intent.client_order_id}", render_envelope(record.stamp, body)


def render_position(entry: PositionEntry) -> tuple[str, str]:
    """Return key and text of a position."""
    record, position = entry.record, entry.record.position
    baseline = record.baseline_amount
    body = {
        "amount": str(position.amount),
        "cost_quote": str(position.cost_quote),
        "realised_quote": str(position.realised_quote),
        "day": position.day,
        "after_fill_id": record.after_fill_id,
        "baseline_amount": None if baseline is None else str(baseline),
        "alive": sorted(entry.alive),
    }
    return f"{POSITION}{position.symbol}", render_envelope(entry.stamp, body)


def render_state(entry: StateEntry) -> tuple[str, str]:
    """Return key and text of a strategy state."""
    return f"{STATE}{entry.symbol}", render_envelope(entry.stamp, entry.body)


def render_takeover(entry: TakeoverEntry) -> tuple[str, str]:
    """Return key and text of a takeover report."""
    return f"{TAKEOVER}{entry.epoch}", render_envelope(entry.stamp, entry.body)


def render_envelope(stamp: Stamp, body: Mapping[str, Any]) -> str:
    """Return the canonical text of one document.

    Raises:
        ValueError, TypeError: the body is not plain JSON (NaN, Decimal, ...).
    """
    envelope = {"v": FORMAT_VERSION, "epoch": stamp.epoch, "seq": stamp.seq, "body": dict(body)}
    return json.dumps(envelope, sort_keys=True, separators=(",", ":"), allow_nan=False)


def parse_document(key: str, text: str, *, source: str) -> Document | Damage:
    """Return the value of one document, or what is wrong with it."""
    try:
        stamp, body = _parse_envelope(text)
        kind, _, name = key.partition(":")
        match f"{kind}:":
            case "intent:":
                return _parse_intent(ClientOrderId(name), body, stamp)
            case "position:":
                return _parse_position(name, body, stamp)
            case "state:":
                return StateEntry(symbol=name, body=body, stamp=stamp)
            case "takeover:":
                return TakeoverEntry(epoch=int(name), body=body, stamp=stamp)
            case _:
                raise ValueError("no such kind of document")  # noqa: TRY301  (one exit for all)
    except (ValueError, TypeError, KeyError, InvalidOperation, RecursionError) as error:
        why = f"field {error} is missing" if isinstance(error, KeyError) else str(error)
        return Damage(key=key, source=source, why=why or type(error).__name__)


def _parse_envelope(text: str) -> tuple[Stamp, dict[str, Any]]:
    envelope = json.loads(text)
    if not isinstance(envelope, dict) or not isinstance(envelope.get("body"), dict):
        raise ValueError("is not an envelope with a body")  # noqa: TRY004  (one kind of damage)
    if envelope["v"] != FORMAT_VERSION:
        raise ValueError(f"format {envelope['v']!r}, this release reads {FORMAT_VERSION}")
    return (
        Stamp(epoch=_whole(envelope["epoch"]), seq=_whole(envelope["seq"])),
        envelope["body"],
    )


def _parse_intent(
    client_order_id: ClientOrderId, body: Mapping[str, Any], stamp: Stamp
) -> IntentRecord:
    parts = decode(client_order_id)
    if parts is None:
        raise ValueError("its name is not a client order id of ours")
    price, venue_order_id = body["price"], body["venue_order_id"]
    intent = OrderIntent(
        client_order_id=client_order_id,
        symbol=_text(body["symbol"]),
        side=Side(body["side"]),
        type=OrderType(body["type"]),
        time_in_force=TimeInForce(body["time_in_force"]),
        amount=_money(body["amount"]),
        price=None if price is None else _money(price),
        tag=_text(body["tag"]),
        epoch=parts.epoch,
        node_id=_text(body["node_id"]),
        created_wall_ms=_whole(body["created_wall_ms"]),
    )
    return IntentRecord(
        intent=intent,
        state=IntentState(body["state"]),
        deadline_venue_ms=_whole(body["deadline_venue_ms"]),
        venue_order_id=None if venue_order_id is None else VenueOrderId(_text(venue_order_id)),
        filled=_money(body["filled"]),
        reason=_text(body["reason"]),
        adopted_epoch=_whole(body["adopted_epoch"]),
        stamp=stamp,
    )


def _parse_position(symbol: str, body: Mapping[str, Any], stamp: Stamp) -> PositionEntry:
    after, baseline = body["after_fill_id"], body["baseline_amount"]
    if after is not None:
        fill_number(_text(after))
    record = PositionRecord(
        position=Position(
            symbol=symbol,
            amount=_money(body["amount"]),
            cost_quote=_money(body["cost_quote"]),
            realised_quote=_money(body["realised_quote"]),
            day=_text(body["day"]),
        ),
        after_fill_id=after,
        baseline_amount=None if baseline is None else _money(baseline),
    )
    alive = frozenset(ClientOrderId(_text(item)) for item in body["alive"])
    return PositionEntry(record=record, alive=alive, stamp=stamp)


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{value!r} is not a whole number")  # noqa: TRY004  (one kind of damage)
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a text")  # noqa: TRY004  (one kind of damage)
    return value


def _money(value: object) -> Decimal:
    number = Decimal(_text(value))
    if not number.is_finite():
        raise ValueError(f"{value!r} is not an amount")
    return number

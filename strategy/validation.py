"""What a decision must satisfy before anyone acts on it.

Checked twice: in the worker, where the types of the strategy's own objects are still visible,
and in the node, which does not trust the worker's text. It does not know the venue's filters or
the risk limits; those stand on the order path.
"""

import json
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from exchange.model import ZERO, Side, TimeInForce
from strategy.model import Decision, DesiredOrder, Evidence

TAG = re.compile(r"[a-z0-9_-]{1,16}")
# The node names the orders that move a position to its target so.
RESERVED_TAG = "target"
# One journal record holds the state of one symbol; stores and board are small machines.
STATE_BYTES_MAX = 16 * 1024
# Binance allows 200 open orders per symbol; half of it leaves room for what is being replaced.
ORDERS_MAX = 100
EVIDENCE_MAX = 200
# Longer texts are cut in the worker (`shorten`), so that a long value never costs a candle.
TEXT_CHARS_MAX = 200
STATE_DEPTH_MAX = 20
# Powers of ten that an amount or a price may have.
MAGNITUDE_MIN, MAGNITUDE_MAX = -18, 15
DECISION_FIELDS = tuple(Decision.__dataclass_fields__)
ORDER_FIELDS = tuple(DesiredOrder.__dataclass_fields__)
EVIDENCE_FIELDS = tuple(Evidence.__dataclass_fields__)


def check_decision(decision: Any) -> tuple[str, ...]:
    """Return everything that is wrong with a decision, in words; empty when it can be used."""
    if not isinstance(decision, Decision):
        return (f"decide() returned {type(decision).__name__}, return Decision(...)",)
    # Nothing made sure that the fields hold what their hints say: the strategy filled them in.
    fields: dict[str, Any] = {name: getattr(decision, name) for name in DECISION_FIELDS}
    problems = _check_target(fields["target"])
    problems += _check_orders(fields["orders"])
    problems += _check_evidence(fields["evidence"])
    problems += check_state(fields["state"])
    if not isinstance(fields["reason"], str):
        problems.append("reason is not text, use str(...)")
    return tuple(problems)


def shorten(text: str) -> str:
    """Cut a text to what the decision log keeps."""
    return text if len(text) <= TEXT_CHARS_MAX else text[: TEXT_CHARS_MAX - 1] + "…"


def check_state(state: Any) -> list[str]:
    """Return what keeps `state` from being a small JSON document."""
    if not isinstance(state, Mapping):
        return [f"state is {type(state).__name__}, return a dict"]
    problem = _find_not_json(state, "state", 0)
    if problem:
        return [problem]
    size = len(json.dumps(dict(state)).encode())
    if size > STATE_BYTES_MAX:
        return [f"state has {size} bytes, the limit is {STATE_BYTES_MAX}: keep less"]
    return []


def _find_not_json(value: Any, path: str, depth: int) -> str:  # noqa: PLR0911  (a table of kinds)
    if depth > STATE_DEPTH_MAX:
        return f"{path} is nested more than {STATE_DEPTH_MAX} deep"
    match value:
        case None | bool() | int() | str():
            return ""
        case float():
            return "" if math.isfinite(value) else f"{path} is {value}, which is not JSON"
        case Decimal():
            return f"{path} is a Decimal, keep str(...) of it and read it with Decimal(...)"
        case list() | tuple():
            items = [(f"{path}[{i}]", item) for i, item in enumerate(value)]
        case Mapping():
            items = [(f"{path}[{name!r}]", item) for name, item in value.items()]
            wrong = next((name for name in value if not isinstance(name, str)), None)
            if wrong is not None:
                return f"{path}: the key {wrong!r} is not text, use str(...)"
        case _:
            return f"{path} is {type(value).__name__}, which is not JSON"
    found = (_find_not_json(item, where, depth + 1) for where, item in items)
    return next(filter(None, found), "")


def _check_number(value: Any, name: str) -> str:
    if not isinstance(value, Decimal):
        return f"{name} is {type(value).__name__}, use Decimal"
    if not value.is_finite():
        return f"{name} is {value}"
    # Beyond these no market has digits, and exact arithmetic would run out of them.
    if value and not MAGNITUDE_MIN <= value.adjusted() <= MAGNITUDE_MAX:
        return f"{name} is {value:.3e}, which no market can mean"
    return ""


def _check_target(target: Any) -> list[str]:
    if target is None:
        return []
    problem = _check_number(target, "target")
    if problem:
        return [problem]
    if target < ZERO:
        return [f"target is {target}: a spot position cannot be below zero"]
    return []


def _check_orders(orders: Any) -> list[str]:
    if not isinstance(orders, tuple):
        return [f"orders is {type(orders).__name__}, use a tuple"]
    if len(orders) > ORDERS_MAX:
        return [f"{len(orders)} orders, the limit is {ORDERS_MAX}"]
    problems: list[str] = []
    for index, order in enumerate(orders):
        problems += _check_order(order, f"orders[{index}]")
    if problems:
        return problems
    tags = [order.tag for order in orders]
    problems += [f"tag {tag!r} is used twice" for tag in sorted(set(tags)) if tags.count(tag) > 1]
    buys = [order.price for order in orders if order.side is Side.BUY]
    sells = [order.price for order in orders if order.side is Side.SELL]
    if buys and sells and max(buys) >= min(sells):
        problems.append(f"a buy at {max(buys)} meets an own sell at {min(sells)}")
    return problems


def _check_order(order: Any, name: str) -> list[str]:
    if not isinstance(order, DesiredOrder):
        return [f"{name} is {type(order).__name__}, use DesiredOrder(...)"]
    fields: dict[str, Any] = {field: getattr(order, field) for field in ORDER_FIELDS}
    problems = []
    tag, side, time_in_force = fields["tag"], fields["side"], fields["time_in_force"]
    if not isinstance(tag, str) or not TAG.fullmatch(tag):
        problems.append(f"{name}.tag {str(tag)[:40]!r}: use 1 to 16 of a-z 0-9 _ -")
    elif tag == RESERVED_TAG:
        problems.append(f"{name}.tag {RESERVED_TAG!r} belongs to the node, use another one")
    if not isinstance(side, Side):
        problems.append(f"{name}.side is {str(side)[:40]!r}, use Side.BUY or Side.SELL")
    if not isinstance(time_in_force, TimeInForce):
        problems.append(f"{name}.time_in_force is {str(time_in_force)[:40]!r}, use TimeInForce")
    for field in ("amount", "price"):
        problem = _check_number(fields[field], f"{name}.{field}")
        if not problem and fields[field] <= ZERO:
            problem = f"{name}.{field} is {fields[field]}, it must be above zero"
        if problem:
            problems.append(problem)
    return problems


def _check_evidence(evidence: Any) -> list[str]:
    if not isinstance(evidence, tuple):
        return [f"evidence is {type(evidence).__name__}, use a tuple"]
    if not evidence:
        return ["evidence is empty: list every condition evaluated, also those that did not fire"]
    if len(evidence) > EVIDENCE_MAX:
        return [f"{len(evidence)} pieces of evidence, the limit is {EVIDENCE_MAX}"]
    problems = (_check_evidence_item(item, f"evidence[{i}]") for i, item in enumerate(evidence))
    return [problem for problem in problems if problem][:1]


def _check_evidence_item(item: Any, name: str) -> str:
    if not isinstance(item, Evidence):
        return f"{name} is {type(item).__name__}, use Evidence(...)"
    fields: dict[str, Any] = {field: getattr(item, field) for field in EVIDENCE_FIELDS}
    # type() for the flag: numpy's own booleans are not JSON.
    has_fired = fields.pop("has_fired")
    if not all(isinstance(text, str) for text in fields.values()):
        return f"{name}: condition, value and threshold are text, use str(...)"
    return "" if type(has_fired) is bool else f"{name}.has_fired: use bool(...)"

"""One signed or public call: its parameters, who makes it, and the checks all calls share.

Rules of this file: parameters are read once from query and body; the signature is the last
parameter of its part; the time window is checked at receipt and again just before matching.

Source: Binance spot documentation, "SIGNED endpoint security" and "Timing security".
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import parse_qsl

from exchange.paper.config import AccountConfig, KeyConfig
from exchange.paper.orders import DECIMAL_RANGE, require
from exchange.paper.refusals import Refused, refuse

WINDOW_DEFAULT_MS = 5000
WINDOW_MAX_MS = 60_000
# A timestamp may be this far ahead of the venue's clock.
AHEAD_MAX_MS = 1000
KEY_RANGE = re.compile(r"^[A-Za-z0-9_-]{4,128}$")
SIGNATURE = re.compile(r"(?:^|&)signature=([0-9A-Fa-f]*)$")
# Read by the checks of this file, so they are no endpoint's own parameters.
COMMON_PARAMETERS = frozenset({"timestamp", "recvWindow", "signature"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, read but not yet checked. `arrived_ms` is venue time at receipt."""

    method: str
    path: str
    query: str
    body: str
    api_key: str | None
    arrived_ms: int
    parameters: Mapping[str, str]
    refusal: Refused | None = None  # what reading the parameters led to

    def own_parameters(self) -> dict[str, str]:
        """Return the parameters that belong to the endpoint."""
        return {n: v for n, v in self.parameters.items() if n not in COMMON_PARAMETERS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who a signed call comes from."""

    account: AccountConfig
    key: KeyConfig


def parse_parameters(query: str, body: str) -> dict[str, str]:
    """Return all parameters, or raise Refused (-1101) when one is sent twice."""
    found: dict[str, str] = {}
    for part in (query, body):
        for name, value in parse_qsl(part, keep_blank_values=True):
            if name in found:
                raise refuse("duplicate_parameter", name)
            found[name] = value
    return found


def check_key(call: Call, callers: Mapping[str, Caller], *, is_trade: bool) -> Caller:
    """Return who calls, or raise Refused (-2014, -2015)."""
    if call.api_key is None or not KEY_RANGE.match(call.api_key):
        raise refuse("bad_key_format")
    caller = callers.get(call.api_key)
    if caller is None or (is_trade and not caller.key.can_trade):
        raise refuse("rejected_key")
    return caller


def check_signature(call: Call, caller: Caller) -> None:
    """Raise Refused unless the signature is there, last, and right (-1102, -1022)."""
    require(call.parameters, "signature")
    query, body = call.query, call.body
    in_body, in_query = SIGNATURE.search(body), SIGNATURE.search(query)
    if in_body is not None:
        signature, body = in_body.group(1), body[: in_body.start()]
    elif in_query is not None:
        signature, query = in_query.group(1), query[: in_query.start()]
    else:
        raise refuse("bad_signature")
    wanted = hmac.new(caller.key.secret.encode(), (query + body).encode(), hashlib.sha256)
    if not hmac.compare_digest(wanted.hexdigest(), signature.lower()):
        raise refuse("bad_signature")


def check_window(call: Call, now_ms: int) -> None:
    """Raise Refused (-1021) unless timestamp < now + 1000 and now - timestamp <= recvWindow."""
    timestamp_ms = _parse_ms(require(call.parameters, "timestamp"), "timestamp")
    window_ms = _parse_ms(call.parameters.get("recvWindow", str(WINDOW_DEFAULT_MS)), "recvWindow")
    if window_ms > WINDOW_MAX_MS:
        raise refuse("window_too_big")
    if timestamp_ms >= now_ms + AHEAD_MAX_MS:
        raise refuse("ahead_of_server")
    if now_ms - timestamp_ms > window_ms:
        raise refuse("outside_window")


def _parse_ms(text: str, name: str) -> Decimal:
    if not re.match(DECIMAL_RANGE, text):
        raise refuse("illegal_characters", name, DECIMAL_RANGE)
    return Decimal(text)

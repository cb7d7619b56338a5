"""One short name for "this strategy with these parameters", equal on every machine.

Two nodes compare it before they trust each other's decisions. It covers the file's text, the
resolved parameters and whatever limits the caller adds; it does not cover the versions of
imported libraries.
"""

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

# 48 bits: two different files of one owner will not meet by chance, and it fits a status line.
FINGERPRINT_CHARS = 12


def fingerprint(
    text: str,
    parameters: Mapping[str, Any],
    limits: Mapping[str, Any] | None = None,
) -> str:
    """Return the fingerprint as lower-case hex.

    Line endings, a byte order mark and empty lines at the end of the file do not count: editors
    and version control change them on the way to a box. `1.0` and `1.00` are one number; `1`
    and `Decimal(1)` too.

    Args:
        text: the strategy file.
        parameters: resolved parameters, defaults filled in.
        limits: JSON-able values (Decimals allowed) that belong to the decision, e.g. symbols.
    """
    document = {
        "text": _normalise_text(text),
        "parameters": _canonical(parameters),
        "limits": _canonical(limits or {}),
    }
    payload = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(payload.encode()).hexdigest()[:FINGERPRINT_CHARS]


def _normalise_text(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")


def _canonical(value: Any) -> Any:
    match value:
        case bool() | None | str():
            return value
        case int() | float() | Decimal():
            # Text, so that 1, 1.0 and Decimal("1.00") agree; the mark keeps them from "1".
            return {"number": format(Decimal(str(value)).normalize(), "f")}
        case Mapping():
            return {str(name): _canonical(item) for name, item in value.items()}
        case list() | tuple():
            return [_canonical(item) for item in value]
        case set() | frozenset():
            return sorted((_canonical(item) for item in value), key=str)
        case _:
            return str(value)

"""Faults on request: which request goes wrong, and how.

Rules of this file: pure matching and counting; server.py and faulty.py carry them out. Faults do
not survive a restart. A request may meet several faults of different kinds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class FaultKind(StrEnum):
    """What goes wrong."""

    DROP = "drop"  # processed, then the connection is cut without an answer
    BLACKHOLE = "blackhole"  # never processed, never answered; cut after `seconds`
    DELAY_BEFORE = "delay_before"  # waits before processing; the time window is checked again
    DELAY_AFTER = "delay_after"  # processed, answered late
    SERVER_ERROR = "5xx"  # an HTML page with `status` (default 502)
    ERROR = "error"  # a JSON error of the venue: `code`, `message`, `status`
    HTML = "html"  # HTTP 200 with an HTML page
    EMPTY = "empty"  # HTTP 200 with nothing
    CUT = "cut"  # Content-Length larger than what is sent
    CUT_JSON = "cut_json"  # HTTP 200 with JSON that stops in the middle
    RATE_LIMITED = "429"
    BANNED = "418"
    STALE = "stale"  # open orders, orders and trades as they were `seconds` ago


# What replaces an answer happens before processing unless asked otherwise (`is_processed`).
PROCESSED_BY_DEFAULT = frozenset(
    {FaultKind.DROP, FaultKind.CUT, FaultKind.CUT_JSON, FaultKind.DELAY_AFTER, FaultKind.STALE,
     FaultKind.DELAY_BEFORE}
)  # fmt: skip
# What an `error` fault says when it is not told what to say.
UNKNOWN_CODE = -1000
UNKNOWN_MESSAGE = "An unknown error occurred while processing the request."
NEVER_PROCESSED = frozenset({FaultKind.BLACKHOLE, FaultKind.RATE_LIMITED, FaultKind.BANNED})


@dataclass(slots=True, kw_only=True)
class Fault:
    """One armed fault. `count` None means until it is removed; `after` lets that many pass."""

    fault_id: int
    kind: FaultKind
    method: str | None = None
    path: str | None = None
    key: str | None = None
    symbol: str | None = None
    count: int | None = 1
    after: int = 0
    seconds: float = 0.0
    status: int = 502
    code: int = UNKNOWN_CODE
    message: str = UNKNOWN_MESSAGE
    is_processed: bool = True
    hits: int = 0

    def is_for(self, *, method: str, path: str, key: str | None, symbol: str | None) -> bool:
        """Return whether a request fits the match; what is not named fits everything."""
        wanted = (self.method, self.path, self.key, self.symbol)
        found = (method, path, key, symbol)
        return all(w is None or w == f for w, f in zip(wanted, found, strict=True))

    def to_json(self) -> dict[str, Any]:
        """Return it as the admin endpoint shows it."""
        return {
            "id": self.fault_id,
            "kind": str(self.kind),
            "match": {
                "method": self.method,
                "path": self.path,
                "key": self.key,
                "symbol": self.symbol,
            },
            "count": self.count,
            "after": self.after,
            "seconds": self.seconds,
            "status": self.status,
            "code": self.code,
            "message": self.message,
            "is_processed": self.is_processed,
            "hits": self.hits,
        }


@dataclass(slots=True, kw_only=True)
class FaultPlan:
    """All armed faults, in the order they were armed."""

    faults: list[Fault] = field(default_factory=list)
    _next_id: int = 1

    def arm(self, body: Mapping[str, Any]) -> Fault:
        """Add a fault described by the admin request's body.

        Raises:
            ValueError: an unknown kind or field, or a wrong value; the message says which.
        """
        known = {"kind", "match", "count", "after", "seconds", "status", "code", "message"}
        known |= {"is_processed"}
        unknown = sorted(set(body) - known)
        match = dict(body.get("match") or {})
        unknown += sorted(set(match) - {"method", "path", "key", "symbol"})
        if unknown:
            raise ValueError(f"unknown fields: {', '.join(unknown)}")
        kind = FaultKind(str(body.get("kind", "")))
        is_processed = bool(body.get("is_processed", kind in PROCESSED_BY_DEFAULT))
        if is_processed and kind in NEVER_PROCESSED:
            raise ValueError(f"{kind}: such a request is never processed")
        path = match.get("path")
        count = body.get("count", 1)
        fault = Fault(
            fault_id=self._next_id,
            kind=kind,
            method=str(match["method"]).upper() if match.get("method") else None,
            path=str(path).removeprefix("/api/v3/").strip("/") if path else None,
            key=match.get("key"),
            symbol=match.get("symbol"),
            count=int(count) if count is not None else None,
            after=int(body.get("after", 0)),
            seconds=float(body.get("seconds", 0.0)),
            status=int(body.get("status", 502)),
            code=int(body.get("code", UNKNOWN_CODE)),
            message=str(body.get("message", UNKNOWN_MESSAGE)),
            is_processed=is_processed,
        )
        self._next_id += 1
        self.faults.append(fault)
        return fault

    def meet(
        self, *, method: str, path: str, key: str | None, symbol: str | None
    ) -> dict[FaultKind, Fault]:
        """Return the faults this request meets, one of each kind, and count them down."""
        met: dict[FaultKind, Fault] = {}
        for fault in self.faults:
            is_spent = fault.count is not None and fault.hits >= fault.count
            if is_spent or fault.kind in met:
                continue
            if not fault.is_for(method=method, path=path, key=key, symbol=symbol):
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            fault.hits += 1
            met[fault.kind] = fault
        return met

    def clear(self, fault_id: int | None) -> int:
        """Remove one fault, or all; return how many were removed."""
        before = len(self.faults)
        self.faults = [f for f in self.faults if fault_id is not None and f.fault_id != fault_id]
        return before - len(self.faults)

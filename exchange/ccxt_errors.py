"""Turn what ccxt raised into what the caller should do (reads) or into an outcome (writes).

Pure over the error object: it looks at the class's name, at the evidence that ccxt_strict.py
attached, and at the venue's row; never at ccxt's own message, which holds signed URLs.

Rules for writes, in this order (each row of the tests' table):
1. Nothing left this process: the ticket is unspent, or the connection was never made. NOT_SENT.
2. The venue's answer was whole, its status is 4xx, and class, code and text are on the venue's
   allow-list: REJECTED.
3. Everything else: UNKNOWN. Also what looks harmless, such as a code that nobody has listed.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from exchange.ccxt_strict import CallRefused, Evidence, class_names, evidence_of
from exchange.errors import (
    AnswerUntrusted,
    VenueError,
    VenueMaintenance,
    VenueRateLimited,
    VenueRefused,
    VenueUnavailable,
)
from exchange.model import WriteOutcome, WriteResult
from exchange.venues import Rejection, VenueRow, normal_text

# How long to be quiet when the venue asks for it without saying how long: its window is a minute.
QUIET_DEFAULT_S: Final = 60.0
# A ban (418) lasts two minutes at least and up to three days (Binance, "IP limits").
BAN_DEFAULT_S: Final = 120.0
# Longest text of a local error that is repeated.
TEXT_LENGTH_MAX: Final = 200

_RATE_STATUSES: Final = {429: False, 418: True}
# Raised before anything is written: refused, no such host, no connection in time, closed by us.
_NOT_CONNECTED: Final = frozenset(
    {"ClientConnectorError", "ConnectionTimeoutError", "SessionClosed", "ExchangeClosedByUser"}
)
_UNTRUSTED: Final = frozenset({"BadResponse", "TypeError", "AttributeError", "KeyError"})
# ccxt's own class; only a whole answer of the venue can have it.
_MAINTENANCE: Final = "OnMaintenance"
_REFUSING: Final = frozenset({"AuthenticationError", "BadSymbol", "BadRequest", "NotSupported"})


def read_failure(error: BaseException, row: VenueRow, label: str) -> VenueError:
    """Return the error to raise for a read that failed; `label` names the read."""
    evidence = evidence_of(error)
    names = class_names(error)
    what = f"{row.exchange_id} {label}: {describe(error)}"
    quiet = quiet_of(error, row)
    if quiet is not None:
        seconds, is_ban = quiet
        return VenueRateLimited(what, retry_after_s=seconds, is_ban=is_ban)
    refusal = _refusal(evidence, names, row)
    if evidence is not None and refusal is not None:
        return VenueRefused(f"{what}{refusal}", code=evidence.code)
    if evidence is not None and evidence.code in row.bad_time:
        return VenueUnavailable(f"{what}; the clock offset is measured anew")
    if _MAINTENANCE in names:
        return VenueMaintenance(f"{what}; the venue is closed for maintenance")
    if names & _UNTRUSTED:
        return AnswerUntrusted(what)
    return VenueUnavailable(what)


def _refusal(evidence: Evidence | None, names: frozenset[str], row: VenueRow) -> str | None:
    """Return how to mend what the venue refused, None when it did not refuse."""
    if evidence is None:
        return None
    if evidence.code is not None and evidence.code in row.refused:
        return f"; {row.refused[evidence.code]}"
    if evidence.status == REGION_REFUSED:
        return "; the venue does not serve this address"
    if evidence.code is not None and _is_client_error(evidence) and names & _REFUSING:
        return "; the venue does not accept this request"
    return None


# "Unavailable for legal reasons": answered to addresses in places that the venue does not serve.
REGION_REFUSED: Final = 451


def quiet_of(error: BaseException, row: VenueRow) -> tuple[float, bool] | None:
    """Return for how long the venue wants no call, and whether it is a ban; None = it does not."""
    evidence = evidence_of(error)
    if evidence is None:
        return None
    is_ban = _RATE_STATUSES.get(evidence.status)
    if is_ban is None and evidence.code not in row.quiet:
        return None
    default_s = BAN_DEFAULT_S if is_ban else QUIET_DEFAULT_S
    asked_s = evidence.retry_after_s
    return (default_s if asked_s is None else asked_s, bool(is_ban))


def is_unknown_order(error: BaseException, row: VenueRow) -> bool:
    """True when the venue's whole answer says that it knows no such order."""
    evidence = evidence_of(error)
    return (
        evidence is not None
        and _is_client_error(evidence)
        and evidence.code in row.unknown_order
        and "OrderNotFound" in class_names(error)
    )


def place_failure(error: BaseException, row: VenueRow, *, is_sent: bool) -> WriteResult:
    """Return the outcome of a placement that raised."""
    evidence = evidence_of(error)
    if is_sent and evidence is not None and _is_duplicate(evidence, row):
        return WriteResult(
            outcome=WriteOutcome.UNKNOWN,
            reason="an order with that id exists at the venue; look it up",
            code=evidence.code,
        )
    return _write_failure(error, row.place_rejected, is_sent=is_sent)


def cancel_failure(error: BaseException, row: VenueRow, *, is_sent: bool) -> WriteResult:
    """Return the outcome of a cancel that raised."""
    return _write_failure(error, row.cancel_rejected, is_sent=is_sent)


def _write_failure(
    error: BaseException, allowed: Mapping[str, Rejection], *, is_sent: bool
) -> WriteResult:
    evidence = evidence_of(error)
    code = None if evidence is None else evidence.code
    if not is_sent or _is_never_connected(error):
        return WriteResult(outcome=WriteOutcome.NOT_SENT, reason=describe(error), code=code)
    if evidence is not None and _is_allowed(error, evidence, allowed):
        return WriteResult(outcome=WriteOutcome.REJECTED, reason=describe(error), code=code)
    return WriteResult(outcome=WriteOutcome.UNKNOWN, reason=describe(error), code=code)


def _is_allowed(error: BaseException, evidence: Evidence, allowed: Mapping[str, Rejection]) -> bool:
    if evidence.status in _RATE_STATUSES:
        # Answered before anything is looked at, whatever the body says (Binance, "IP limits").
        return True
    if not _is_client_error(evidence) or evidence.code is None:
        return False
    rejection = allowed.get(evidence.code)
    if rejection is None:
        return False
    return rejection.allows(error=type(error).__name__, message=evidence.message)


def _is_client_error(evidence: Evidence) -> bool:
    # 5xx means "execution status unknown" at Binance whatever code is in the body.
    return 400 <= evidence.status < 500  # noqa: PLR2004  HTTP's classes


def _is_duplicate(evidence: Evidence, row: VenueRow) -> bool:
    texts = row.place_duplicates.get(evidence.code or "")
    return texts is not None and normal_text(evidence.message) in texts


def _is_never_connected(error: BaseException) -> bool:
    return any(class_names(cause) & _NOT_CONNECTED for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    for _ in range(5):  # a chain of causes is three long; bounded against a cycle
        if current is None:
            return
        yield current
        current = current.__cause__


def describe(error: BaseException) -> str:
    """Return what went wrong in one line that holds no URL, key or signature."""
    evidence = evidence_of(error)
    name = type(error).__name__
    if evidence is not None:
        parts = [name, f"HTTP {evidence.status}"]
        if evidence.code is not None:
            parts.append(f"code {evidence.code}")
        if evidence.message:
            parts.append(evidence.message)
        return ", ".join(parts)
    if isinstance(error, CallRefused | VenueError):
        return str(error)[:TEXT_LENGTH_MAX]
    if isinstance(error, ValueError | TypeError | AttributeError | LookupError):
        # From a parser, ccxt's or ours: such a text names fields, not addresses.
        return f"{name}: {error}"[:TEXT_LENGTH_MAX]
    cause = error.__cause__
    if cause is None:
        return name
    return f"{name} ({type(cause).__name__})"

"""What each kind says: headline, lines with the facts they use, and what to type.

Rules: a `{name}` in braces is a fact of the event, or one of `{node}`, `{cluster}`, `{epoch}`,
`{at}`. A headline or a `must` line shows "not known" for a missing fact, because its absence is
news; any other line is left out. Facts that no line uses are added at the end: nothing that a
caller says is lost. Facts are text, rounded, with their unit; only a name that ends in `_s` holds
bare seconds.
"""

import string
from collections.abc import Mapping
from dataclasses import dataclass

from alerts.model import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a message; shown when all its facts are there, always if `must`."""

    text: str
    must: bool = False

    @property
    def facts(self) -> tuple[str, ...]:
        """Names of the facts in this line."""
        return fields_of(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """Words of one kind. The headline fits a lock screen: about 60 characters."""

    headline: str
    lines: tuple[Line, ...] = ()
    hint: str = ""


BUILT_IN = ("node", "cluster", "epoch", "at")
"""Names that come from the event itself, not from its facts."""


def fields_of(template: str) -> tuple[str, ...]:
    """Return the names in braces, in order, each once."""
    names = (name for _, name, _, _ in string.Formatter().parse(template) if name)
    return tuple(dict.fromkeys(names))


def facts_of(wording: Wording) -> tuple[str, ...]:
    """Return the facts that this wording uses, in order."""
    names = [*fields_of(wording.headline)]
    for line in wording.lines:
        names += line.facts
    return tuple(name for name in dict.fromkeys(names) if name not in BUILT_IN)


def _must(text: str) -> Line:
    return Line(text=text, must=True)


def _may(text: str) -> Line:
    return Line(text=text)


_REASON = _may("Why: {reason}.")
_SPARE = _must("Spare: {spare}.")
_ORDER = _must("{side} {amount} {symbol} at {price} ({type}).")
_ORDER_IF_KNOWN = _may(_ORDER.text)
_OF_STRATEGY = _may("Strategy {strategy}, order {tag}.")
_ORDER_ID = _may("Order {client_order_id}.")
_STATUS_HINT = "/status, or on a box: nodectl status"

FIRST_START = "first_start"

WORDINGS: Mapping[Kind, Wording] = {
    Kind.STARTUP: Wording(
        headline="{node} started as {role}",
        lines=(
            _may("Version {version}, profile {profile}."),
            _may("Venue: {venue}."),
            _may("Strategies: {strategies}."),
            _may("Lease stores: {stores}."),
            _may("What a single loss means: {topology}."),
            _may("Spare: {spare}."),
        ),
        hint=_STATUS_HINT,
    ),
    Kind.TOOK_OVER: Wording(
        headline="{node} trades now, gap {gap_s}",
        lines=(
            _must("{node} trades since {at}. Before: {previous}."),
            _must("Nobody traded for {gap_s}. Why: {reason}."),
            _must("Position: {position_before} → {position_after}."),
            _must("Fills in the gap: {fills_in_gap}."),
            _must(
                "Orders: kept {orders_kept}; cancelled {orders_cancelled}; "
                "unclear {orders_unclear}."
            ),
            _must("At the venue, protected by: {protection}."),
            _SPARE,
        ),
        hint=_STATUS_HINT,
    ),
    Kind.GAVE_UP: Wording(
        headline="{node} stopped trading",
        lines=(
            _must("Why: {reason}."),
            _may("Last order sent: {last_order}."),
            _may("Orders left at the venue: {orders_left}."),
            _may("Who trades next: {next}."),
        ),
        hint=_STATUS_HINT,
    ),
    Kind.NOBODY_TRADES: Wording(
        headline="nobody trades",
        lines=(
            _may("Since {since}."),
            _must("Why: {reason}."),
            _may("Position: {position}."),
            _may("At the venue, protected by: {protection}."),
            _may("What mends it: {fix}."),
        ),
        hint="/status, or on a box: nodectl status; logs: nodectl logs",
    ),
    Kind.BOTH_WERE_OFF: Wording(
        headline="no node ran for {gap}",
        lines=(
            _may("From {off_since} to {at}."),
            _may("Position: {position_before} → {position_after}."),
            _may("Fills in the gap: {fills_in_gap}."),
            _may("Now: {now}."),
        ),
        hint=_STATUS_HINT,
    ),
    Kind.SPARE_LOST: Wording(
        headline="no spare: {peer} is {state}",
        lines=(
            _REASON,
            _may("Last seen {last_seen}."),
            _must("{node} trades on. If it fails now, nobody trades."),
            _may("What mends it: {fix}."),
        ),
        hint=_STATUS_HINT,
    ),
    Kind.SPARE_BACK: Wording(
        headline="{peer} is ready again as spare",
        lines=(_may("It was away for {away}."), _REASON),
    ),
    Kind.PREFERRED_FIT: Wording(
        headline="{peer} is fit again, {node} goes on trading",
        lines=(_may("Fit for {fit_for}."),),
        hint="to hand over at a moment you choose: nodectl switchover",
    ),
    Kind.ORDER_PLACED: Wording(
        headline="{side} order for {symbol} placed",
        lines=(_ORDER, _may("Reason: {reason}."), _OF_STRATEGY, _ORDER_ID),
    ),
    Kind.ORDER_FILLED: Wording(
        headline="filled: {side} {amount} {symbol} at {price}",
        lines=(
            _may("Filled {filled} of {ordered}."),
            _may("Fee {fee}."),
            _may("Position now: {position}."),
            _may("Result today: {result_today}."),
            _OF_STRATEGY,
            _ORDER_ID,
        ),
    ),
    Kind.ORDER_REJECTED: Wording(
        headline="{symbol} order refused by {refused_by}",
        lines=(_must("Why: {reason}."), _ORDER_IF_KNOWN, _OF_STRATEGY, _ORDER_ID),
        hint="nodectl explain",
    ),
    Kind.ORDER_UNKNOWN: Wording(
        headline="{symbol} order: outcome unknown",
        lines=(
            _ORDER,
            _must("What happened: {reason}."),
            _must("It is not sent again. {symbol} takes no new risk until it is found out."),
            _may("Unknown for {age}."),
            _may("What mends it: {fix}."),
            _OF_STRATEGY,
            _ORDER_ID,
        ),
        hint="nodectl status; it usually resolves itself within a minute",
    ),
    Kind.ORDER_RESOLVED: Wording(
        headline="{symbol} order cleared up: {outcome}",
        lines=(
            _ORDER_IF_KNOWN,
            _may("Filled {filled}."),
            _may("Found in: {found_in}."),
            _may("{symbol} takes new risk again."),
            _OF_STRATEGY,
            _ORDER_ID,
        ),
    ),
    Kind.STRATEGY_SKIPPED: Wording(
        headline="{strategy} skipped a candle of {symbol}",
        lines=(
            _must("Why: {reason}."),
            _may("Candle: {candle}."),
            _may("At: {where}."),
            _must("Open orders stay; the next candle is tried as usual."),
        ),
        hint="nodectl strategy check FILE",
    ),
    Kind.PAUSED: Wording(
        headline="paused",
        lines=(
            _must("By: {by}. Why: {reason}."),
            _must("Nothing new is sent by any node, also after a restart, until a person resumes."),
            _may("Orders left at the venue: {orders_left}."),
        ),
        hint="/resume, or on a box: nodectl resume",
    ),
    Kind.RESUMED: Wording(
        headline="resumed, trading again",
        lines=(_must("By: {by}."), _may("Why: {reason}."), _may("Paused for {paused_for}.")),
    ),
    Kind.LOSS_LIMIT: Wording(
        headline="daily loss limit reached",
        lines=(
            _must("Result today: {result_today}; limit: {limit}."),
            _must("No new risk on any node until a person resumes."),
            _may("Position: {position}."),
            _may("Orders left at the venue: {orders_left}."),
        ),
        hint="look first: nodectl status; then /resume or nodectl resume",
    ),
    Kind.STORE_LOST: Wording(
        headline="lease store {store} does not answer",
        lines=(
            _REASON,
            _may("Stores that answer: {stores_ok} of {stores_all}."),
            _may("What it means: {meaning}."),
            _may("What mends it: {fix}."),
        ),
        hint=_STATUS_HINT,
    ),
    Kind.STORE_BACK: Wording(
        headline="lease store {store} answers again",
        lines=(_may("It was away for {away}."), _may("Stores: {stores_ok} of {stores_all}.")),
    ),
    Kind.DEGRADED: Wording(
        headline="{node}: {what}",
        lines=(
            _REASON,
            _may("What it means: {meaning}."),
            _may("What mends it: {fix}."),
        ),
        hint=_STATUS_HINT,
    ),
    Kind.RECOVERED: Wording(
        headline="{node}: {what}", lines=(_may("It lasted {lasted}."), _REASON)
    ),
    Kind.ERROR: Wording(
        headline="{node}: {what}",
        lines=(
            _may("Error: {error}."),
            _may("What it means: {meaning}."),
            _may("What mends it: {fix}."),
        ),
        hint="nodectl logs",
    ),
    Kind.DRILL_PASSED: Wording(
        headline="drill passed: {drill}",
        lines=(_must("{summary}."), _may("Measured: {phases}."), _may("Asked for by {by}.")),
        hint="nodectl drill history",
    ),
    Kind.DRILL_FAILED: Wording(
        headline="drill not passed: {drill}",
        lines=(
            _must("{summary}."),
            _may("What must not happen and did: {problems}."),
            _may("Measured: {phases}."),
            _may("Asked for by {by}."),
        ),
        hint="nodectl drill history; nodectl doctor --measure 5m",
    ),
    Kind.TEST: Wording(
        headline="test message from {node}",
        lines=(
            _must("This is where hotspare will write."),
            _may("Asked for by {by}."),
        ),
    ),
}

VARIANT = "variant"
"""Fact that chooses other words for an event of the same kind; it is never shown."""

VARIANTS: Mapping[tuple[Kind, str], Wording] = {
    (Kind.TOOK_OVER, FIRST_START): Wording(
        headline="{node} trades now, first start",
        lines=(
            _must("{node} trades since {at}. No node of this cluster has traded before."),
            _must("Position: {position_after}."),
            _may("Fills found: {fills_in_gap}."),
            _must(
                "Orders: kept {orders_kept}; cancelled {orders_cancelled}; "
                "unclear {orders_unclear}."
            ),
            _must("At the venue, protected by: {protection}."),
            _SPARE,
        ),
        hint=_STATUS_HINT,
    ),
}


def wording_of(kind: Kind, facts: Mapping[str, str]) -> Wording:
    """Return the words for an event of this kind with these facts."""
    return VARIANTS.get((kind, facts.get(VARIANT, "")), WORDINGS[kind])

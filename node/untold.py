"""Takeovers of this node that nobody was told of: its process died between journal and outbox (S5).

Rules of this file: a takeover is journalled before it is told, so a death in between leaves a
document that says `is_told: false` and an outbox that does not know the message. Only the node
that took over tells it, late and with the true time: its outbox knows what it has told, the other
node's does not, and one epoch must not be told twice. When that node's disk is lost nobody tells
it as such; the next holder says so in its own message (takeover.py).
"""

from collections.abc import Collection, Mapping

from alerts.events import TakeoverFacts
from alerts.model import Kind
from exchange.journal import merge
from exchange.journal_codec import TAKEOVER, TakeoverEntry
from node.logs import log_event
from node.teller import Teller

# A disk that failed in between may have lost that it was told: the message must allow for that.
LATE = "told late, perhaps again: this node's process ended before its disk kept that it was told"
NOT_KNOWN = "not known any more"


def find_untold(documents: Mapping[str, str], node_id: str) -> tuple[TakeoverEntry, ...]:
    """Return this node's takeovers whose document does not say that they were told, oldest first.

    Documents of a release that did not write it down count as told.
    """
    own = {key: text for key, text in documents.items() if key.startswith(TAKEOVER)}
    entries = merge([("own disk", own)]).journal.takeovers
    return tuple(
        entries[epoch]
        for epoch in sorted(entries)
        if entries[epoch].body.get("node_id") == node_id
        and entries[epoch].body.get("is_told") is False
    )


async def tell_untold(
    documents: Mapping[str, str], node_id: str, teller: Teller
) -> tuple[int, ...]:
    """Tell each of them; what the outbox knows already is not told again.

    Returns:
        The epochs that are told for good: the next holder's journal may say so.
    """
    told: list[int] = []
    for entry in find_untold(documents, node_id):
        is_new = await _tell(entry, teller)
        if is_new is not False:
            log_event("takeover.told_late", lease_epoch=entry.epoch)
        if is_new is not None:
            told.append(entry.epoch)
    return tuple(told)


def marked_told(
    takeovers: Mapping[int, TakeoverEntry], epochs: Collection[int]
) -> dict[int, dict[str, object]]:
    """Return the bodies of these takeovers as they read once they were told.

    The outbox forgets its oldest ids one day; the journal must not call them untold then.
    """
    return {
        epoch: {**takeovers[epoch].body, "is_told": True}
        for epoch in epochs
        if epoch in takeovers and takeovers[epoch].body.get("is_told") is False
    }


async def _tell(entry: TakeoverEntry, teller: Teller) -> bool | None:
    body = entry.body
    at_ms = body.get("at_wall_ms")
    at_wall_ms = at_ms if isinstance(at_ms, int) else None
    facts = _facts(body)
    if not body.get("was_whole_cluster_off"):
        return await teller.tell_took_over(facts, epoch=entry.epoch, at_wall_ms=at_wall_ms)
    return await teller.tell(
        Kind.BOTH_WERE_OFF,
        str(entry.epoch),
        {
            "gap": NOT_KNOWN if facts.gap_s is None else f"{facts.gap_s:.0f} s",
            "position_before": facts.position_before,
            "position_after": facts.position_after,
            "fills_in_gap": facts.fills_in_gap,
            "now": f"orders kept {facts.orders_kept}, cancelled {facts.orders_cancelled}, unclear "
            f"{facts.orders_unclear}; {LATE}",
            "protection": facts.protection,
            "spare": facts.spare,
        },
        epoch=entry.epoch,
        at_wall_ms=at_wall_ms,
    )


def _facts(body: Mapping[str, object]) -> TakeoverFacts:
    def text(name: str) -> str:
        return str(body.get(name) or NOT_KNOWN)

    def count(name: str) -> int:
        value = body.get(name)
        return value if isinstance(value, int) else 0

    gap_s = body.get("gap_s")
    return TakeoverFacts(
        gap_s=float(gap_s) if isinstance(gap_s, int | float) else None,
        reason=f"{text('reason')}; {LATE}",
        previous=text("previous"),
        position_before=text("position_before"),
        position_after=text("position_after"),
        fills_in_gap=text("fills_in_gap"),
        orders_kept=count("orders_kept"),
        orders_cancelled=count("orders_cancelled"),
        orders_unclear=count("orders_unclear"),
        protection=NOT_KNOWN,
        spare=NOT_KNOWN,
        has_spare=False,
        is_first_start=body.get("is_first_start") is True,
    )

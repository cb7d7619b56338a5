"""The timeline of a run in words: true time, who, what."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from node.sim.world import Entry

WHO_WIDTH = 15
VALUE_MAX = 160
# What reads better as a sentence than as a name with fields.
SENTENCES: Mapping[str, str] = {
    "role.changed": "is {to} now (before: {from}): {reason}",
    "lease.granted": "was granted epoch {lease_epoch}; before: {previous}",
    "lease.lapsed": "cannot prove its lease of epoch {lease_epoch} any more: {reason}",
    "lease.deposed": "lost epoch {lease_epoch}: {reason}",
    "lease.released": "gave epoch {lease_epoch} up (acknowledged: {was_acknowledged})",
    "lease.holder_changed": "sees {holder} hold the lease, epoch {lease_epoch}",
    "order.intended": "sends {side} {amount} at {price} as {client_order_id}",
    "order.confirmed": "knows that {client_order_id} was taken",
    "order.unknown": "does not know what became of {client_order_id}: {reason}",
    "order.adopted": "keeps {client_order_id} of an older epoch",
    "order.not_sent": "did not send {client_order_id}: {reason}",
    "order accepted": "takes {id}: {side} {amount} at {price}, tag {tag}, epoch {epoch}, from {by}",
    "order filled": "fills {id}: {side} {amount} at {price}",
    "order cancelled": "cancels {id}",
    "process started": "starts",
    "process ended": "ends: {why}",
    "takeover.finished": "has accounted for everything; gap {gap_s} s, kept {orders_kept}, "
    "unclear {orders_unclear}, fills in the gap: {fills_in_gap}",
    "store.lost": "gets no answer from store {store}: {reason}",
    "store.back": "gets answers from store {store} again",
    "message": "shows: {text}",
}


def render_entry(entry: Entry) -> str:
    """Return one line."""
    return f"{entry.at_s:10.3f} s  {entry.who:<{WHO_WIDTH}} {_words(entry)}"


def render_timeline(entries: Iterable[Entry]) -> str:
    """Return all lines."""
    return "\n".join(render_entry(entry) for entry in entries)


def before_the_end(entries: Sequence[Entry], *, seconds: float) -> Sequence[Entry]:
    """Return what happened in the last seconds of a run."""
    if not entries:
        return entries
    from_s = entries[-1].at_s - seconds
    return [entry for entry in entries if entry.at_s >= from_s]


def _words(entry: Entry) -> str:
    sentence = SENTENCES.get(entry.what)
    if sentence is not None:
        try:
            return sentence.format_map({k: _short(v) for k, v in entry.details.items()})
        except KeyError:
            pass  # an older or newer form of the event: name and fields say it too
    fields = ", ".join(f"{name} {_short(value)}" for name, value in entry.details.items())
    return f"{entry.what}: {fields}" if fields else entry.what


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= VALUE_MAX else f"{text[:VALUE_MAX]}…"

"""The journal: small documents from which any node can go on where another one stopped.

Rules of this file:
- every document carries (epoch, seq) of its writer; of several copies the highest wins, so that
  merging is commutative, associative and idempotent;
- an intent is trimmed in the same change that updates its position, and the position lists the
  intents still alive at that moment: an older copy of a trimmed intent, coming back with a store
  that was away, is recognised and dropped;
- a damaged document is reported and treated as absent; the venue has the rest of the truth.

It holds values only; writing them is the business of journal_writer.py and journal_file.py.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from exchange.intents import FINAL, NO_STAMP, IntentRecord, IntentState, Stamp
from exchange.journal_codec import (
    INTENT,
    POSITION,
    STATE,
    TAKEOVER,
    Damage,
    Document,
    PositionEntry,
    StateEntry,
    TakeoverEntry,
    parse_document,
    render_intent,
    render_position,
    render_state,
    render_takeover,
)
from exchange.model import ClientOrderId, Position
from exchange.positions import PositionRecord

TAKEOVERS_KEPT: Final = 50  # a year of monthly drills and some accidents; about 20 KiB


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Documents to put and to delete, atomically in each store and on the disk."""

    puts: Mapping[str, str] = field(default_factory=dict)
    deletes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """True when there is nothing to write."""
        return not self.puts and not self.deletes


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """All documents as values. `stamp` is the highest one written or merged."""

    stamp: Stamp = NO_STAMP
    intents: Mapping[ClientOrderId, IntentRecord] = field(default_factory=dict)
    positions: Mapping[str, PositionEntry] = field(default_factory=dict)
    states: Mapping[str, StateEntry] = field(default_factory=dict)
    takeovers: Mapping[int, TakeoverEntry] = field(default_factory=dict)

    def open_intents(self) -> tuple[IntentRecord, ...]:
        """Return the intents that the venue is known to have."""
        return tuple(r for r in self.intents.values() if r.state is IntentState.OPEN)

    def unknown_intents(self) -> tuple[IntentRecord, ...]:
        """Return the intents that may have been sent and whose outcome is not known."""
        return tuple(r for r in self.intents.values() if r.is_in_flight)

    def position(self, symbol: str) -> PositionRecord:
        """Return the position record of a symbol; a flat one with no cursor if there is none."""
        entry = self.positions.get(symbol)
        return PositionRecord(position=Position(symbol=symbol)) if entry is None else entry.record

    def symbols(self) -> tuple[str, ...]:
        """Return every symbol that has an intent or a position, sorted."""
        names = {r.intent.symbol for r in self.intents.values()} | set(self.positions)
        return tuple(sorted(names))

    def state(self, symbol: str) -> Mapping[str, Any] | None:
        """Return the strategy state document of a symbol, None if there is none."""
        entry = self.states.get(symbol)
        return None if entry is None else entry.body

    def documents(self) -> dict[str, str]:
        """Return every document as text, to push to a store that has lost them."""
        texts: dict[str, str] = {}
        texts.update(render_intent(record) for record in self.intents.values())
        texts.update(render_position(entry) for entry in self.positions.values())
        texts.update(render_state(entry) for entry in self.states.values())
        texts.update(render_takeover(entry) for entry in self.takeovers.values())
        return texts

    def document(self, key: str) -> str | None:
        """Return one document as text, None when the journal has none of that name."""
        kind, _, name = key.partition(":")
        record = self.intents.get(ClientOrderId(name))
        if kind == "intent" and record is not None:
            return render_intent(record)[1]
        if kind == "position" and name in self.positions:
            return render_position(self.positions[name])[1]
        if kind == "state" and name in self.states:
            return render_state(self.states[name])[1]
        if kind == "takeover" and name.isdigit() and int(name) in self.takeovers:
            return render_takeover(self.takeovers[int(name)])[1]
        return None

    def edit(
        self,
        *,
        epoch: int,
        intents: Iterable[IntentRecord] = (),
        closed: Iterable[ClientOrderId] = (),
        positions: Iterable[PositionRecord] = (),
        states: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
        takeovers: Mapping[int, Mapping[str, Any]] = MappingProxyType({}),
    ) -> tuple["Journal", Change]:
        """Return the journal after one atomic change, and the change for stores and disk.

        Args:
            epoch: of the writer; never below what the journal has seen.
            intents: records to put (their stamps are set here).
            closed: intents to trim; the positions of their symbols are put again with them.
            positions: records to put.
            states: strategy state by symbol.
            takeovers: takeover bodies by epoch; the oldest beyond the last 50 are deleted.

        Raises:
            ValueError: the epoch is older than the journal's.
        """
        if epoch < self.stamp.epoch:
            raise ValueError(f"epoch {epoch} writes after epoch {self.stamp.epoch}")
        seq = self.stamp.seq + 1 if epoch == self.stamp.epoch else 1
        stamp = Stamp(epoch=epoch, seq=seq)
        new_intents = dict(self.intents)
        put_intents = [replace(record, stamp=stamp) for record in intents]
        new_intents.update((r.client_order_id, r) for r in put_intents)
        trimmed = [new_intents.pop(cid) for cid in closed if cid in new_intents]
        put_intents = [r for r in put_intents if r.client_order_id in new_intents]
        records = {r.position.symbol: r for r in positions}
        for record in trimmed:
            records.setdefault(record.intent.symbol, self.position(record.intent.symbol))
        alive = _alive_by_symbol(new_intents.values(), records)
        entries = [
            PositionEntry(record=record, alive=alive[symbol], stamp=stamp)
            for symbol, record in records.items()
        ]
        put_states = [StateEntry(symbol=s, body=dict(b), stamp=stamp) for s, b in states.items()]
        put_takeovers = [
            TakeoverEntry(epoch=e, body=dict(b), stamp=stamp) for e, b in takeovers.items()
        ]
        new_takeovers = dict(self.takeovers) | {entry.epoch: entry for entry in put_takeovers}
        dropped = sorted(new_takeovers)[:-TAKEOVERS_KEPT]
        for number in dropped:
            del new_takeovers[number]
        puts = dict(
            [render_intent(r) for r in put_intents]
            + [render_position(e) for e in entries]
            + [render_state(e) for e in put_states]
            + [render_takeover(e) for e in put_takeovers if e.epoch in new_takeovers]
        )
        deletes = [f"{INTENT}{r.client_order_id}" for r in trimmed]
        deletes += [f"{TAKEOVER}{number}" for number in dropped]
        change = Change(puts=puts, deletes=tuple(deletes))
        if change.is_empty:
            return self, change
        journal = Journal(
            stamp=stamp,
            intents=new_intents,
            positions={**self.positions, **{e.record.position.symbol: e for e in entries}},
            states={**self.states, **{e.symbol: e for e in put_states}},
            takeovers=new_takeovers,
        )
        return journal, change

    def drain_ms(self, *, now_venue_ms: int, effect_tail_ms: int) -> int:
        """Return how long a successor must wait before what was sent can no longer happen (R10).

        Time until the latest deadline plus effect tail of intents that may have been sent and
        have no outcome; 0 if there are none.
        """
        ends = (r.deadline_venue_ms + effect_tail_ms for r in self.unknown_intents())
        return max(0, max(ends, default=now_venue_ms) - now_venue_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """The journal that several copies add up to.

    `documents` are the winning texts (what a tailing copy keeps), `damages` the documents that
    could not be read, `dropped` older copies of intents that had already been trimmed. `texts` is
    what each text that was read says, by key and text, for the next merge.
    """

    journal: Journal
    documents: Mapping[str, str]
    damages: tuple[Damage, ...] = ()
    dropped: tuple[ClientOrderId, ...] = ()
    texts: Mapping[tuple[str, str], Document] = field(default_factory=dict, repr=False)


def merge(
    sources: Sequence[tuple[str, Mapping[str, str]]],
    *,
    known: Mapping[tuple[str, str], Document] = MappingProxyType({}),
) -> Merged:
    """Merge copies of the documents, whatever their order and however often each comes.

    Keys of other kinds (control records kept beside the journal) are left out.

    Args:
        sources: name for people ("store pi", "own disk") and documents of each copy.
        known: texts of an earlier merge, which are not read again: most documents never change.
    """
    best: dict[str, tuple[Document, str]] = {}
    damages: list[Damage] = []
    # Most copies are equal: a text that was read already says nothing new.
    good: dict[tuple[str, str], Document] = {}
    for name, documents in sources:
        for key, text in documents.items():
            if (key, text) in good or not key.startswith((INTENT, POSITION, STATE, TAKEOVER)):
                continue
            document = known.get((key, text)) or parse_document(key, text, source=name)
            if isinstance(document, Damage):
                damages.append(document)
                continue
            good[key, text] = document
            held = best.get(key)
            # Equal stamps mean equal texts, except after a bug: the text decides the same
            # way on every node, whatever the order of the sources.
            if held is None or (document.stamp, text) > (held[0].stamp, held[1]):
                best[key] = (document, text)
    found = [document for document, _ in best.values()]
    positions = {d.record.position.symbol: d for d in found if isinstance(d, PositionEntry)}
    intents, dropped = {}, []
    for record in (d for d in found if isinstance(d, IntentRecord)):
        entry = positions.get(record.intent.symbol)
        if entry is not None and _was_trimmed(record, entry):
            dropped.append(record.client_order_id)
        else:
            intents[record.client_order_id] = record
    journal = Journal(
        stamp=max((d.stamp for d in found), default=NO_STAMP),
        intents=dict(sorted(intents.items())),
        positions=dict(sorted(positions.items())),
        states={d.symbol: d for d in found if isinstance(d, StateEntry)},
        takeovers={d.epoch: d for d in found if isinstance(d, TakeoverEntry)},
    )
    gone = {f"{INTENT}{client_order_id}" for client_order_id in dropped}
    return Merged(
        journal=journal,
        documents={key: text for key, (_, text) in sorted(best.items()) if key not in gone},
        damages=tuple(damages),
        dropped=tuple(sorted(dropped)),
        texts=good,
    )


def _was_trimmed(record: IntentRecord, entry: PositionEntry) -> bool:
    return record.stamp <= entry.stamp and record.client_order_id not in entry.alive


def _alive_by_symbol(
    records: Iterable[IntentRecord], symbols: Iterable[str]
) -> dict[str, frozenset[ClientOrderId]]:
    alive: dict[str, set[ClientOrderId]] = {symbol: set() for symbol in symbols}
    for record in records:
        if record.intent.symbol in alive and record.state not in FINAL:
            alive[record.intent.symbol].add(record.client_order_id)
    return {symbol: frozenset(ids) for symbol, ids in alive.items()}

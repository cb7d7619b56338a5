"""What a majority of stores decides: journal documents, control records, the member board.

Rules of this file: no connection and no thread. Each decision is a walk (walks.py) that asks all
stores at once through a `Fleet` and judges what came back; what one store does with a call is
behind its port. A majority is what the fleet's quorum says (quorum.py). Real servers
(redis_ledger.py, redis_control.py, redis_members.py) and simulated ones run the same decisions.
"""

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

from election.control_record import ControlPut, ControlReading, ControlRecord, merge_controls
from election.errors import StoreUnreachable
from election.fleet import LATE_STORE_GRACE_S, Fleet, FleetAnswers, tell
from election.member_record import MemberPublish, MemberReading, merge_members
from election.model import Incarnation, NodeId, StoreName
from election.walks import Walk

# How long the other stores are awaited once a majority has decided a write or a read. A write
# stands before every order: a frozen store may cost it this much and no more. A takeover reads
# once, and likes to have all stores.
WRITE_GRACE_S: Final = 0.02
READ_GRACE_S: Final = 0.1
# How often a higher version is tried when another writer was faster: two people rarely meet
# twice, five times means that something writes in a loop.
PUT_TRIES: Final = 5
PAUSE_S_MAX: Final = 0.05
STORED, OLDER = "none", "older"  # what a store says to a record; anything else is a refusal


# --- the journal's documents ---------------------------------------------------------------------


class LedgerPort(Protocol):
    """The documents in one store. Calls raise StoreUnreachable."""

    @property
    def name(self) -> StoreName:
        """Name of the store."""
        ...

    def write_ledger(
        self,
        inc: Incarnation | None,
        stamp: tuple[int, int],
        puts: Mapping[str, str],
        deletes: Collection[str],
    ) -> None:
        """Write for the holder in the life `inc`; None: no life was seen yet.

        `stamp`: the holder's epoch, and the number of this write among those of its process.
        """
        ...

    def read_ledger(self) -> Mapping[str, str]:
        """Return the documents."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerAnswer:
    """How a fenced write ended.

    `reason` names each store that did not accept, and is empty when a majority did; `problems`
    names them also then.
    """

    is_accepted: bool
    reason: str
    accepted_by: tuple[StoreName, ...]
    problems: Mapping[StoreName, str]


class LedgerMajority:
    """Writes and reads the documents of all stores."""

    def __init__(
        self,
        fleet: Fleet[LedgerPort],
        incarnations: Callable[[], Mapping[StoreName, Incarnation]],
    ) -> None:
        """`incarnations` returns, for each store, the life of it that this node believes in."""
        self._fleet, self._incarnations = fleet, incarnations
        self._numbers = itertools.count(1)

    def write(
        self, epoch: int, puts: Mapping[str, str], deletes: Collection[str]
    ) -> Walk[LedgerAnswer]:
        """Write to all; return as soon as a majority has decided."""
        known = dict(self._incarnations())
        quorum, stamp = self._fleet.quorum, (epoch, next(self._numbers))

        def write_one(store: LedgerPort) -> None:
            store.write_ledger(known.get(store.name), stamp, puts, deletes)

        found: FleetAnswers[None] = yield partial(
            self._fleet.ask, write_one, enough=quorum, grace_s=WRITE_GRACE_S
        )
        accepted_by = tuple(found.answers)
        is_accepted = quorum.is_met(accepted_by)
        return LedgerAnswer(
            is_accepted=is_accepted,
            reason="" if is_accepted else tell(found.problems),
            accepted_by=accepted_by,
            problems=found.problems,
        )

    def read_named(self) -> Walk[Mapping[StoreName, Mapping[str, str]]]:
        """Return the documents by store; every accepted write is in some store of any majority."""
        found: FleetAnswers[Mapping[str, str]] = yield partial(
            self._fleet.ask, _read_ledger, enough=self._fleet.quorum, grace_s=READ_GRACE_S
        )
        return found.answers


def _read_ledger(store: LedgerPort) -> Mapping[str, str]:
    return store.read_ledger()


# --- control records -----------------------------------------------------------------------------


class Said(NamedTuple):
    """What one store said to a record: `STORED`, `OLDER` or a refusal; the version it has now."""

    outcome: str
    version: int
    detail: str = ""


class Shown(NamedTuple):
    """What one store has, and what of it could not be read."""

    records: Mapping[str, ControlRecord]
    unreadable: tuple[str, ...] = ()


class ControlPort(Protocol):
    """The control records in one store. Calls raise StoreUnreachable."""

    @property
    def name(self) -> str:
        """The store in words."""
        ...

    def put_control(self, record: ControlRecord) -> Said:
        """Store a record if its version is higher."""
        ...

    def read_control(self) -> Shown:
        """Return all records."""
        ...


class ControlMajority:
    """Writes decisions to all stores, and reads them."""

    def __init__(
        self,
        fleet: Fleet[ControlPort],
        *,
        wait: Callable[[float], None],
        chance: Callable[[], float],
    ) -> None:
        """`wait` blocks for some seconds before a new try, `chance` in [0, 1) spreads them."""
        self._fleet, self._wait, self._chance = fleet, wait, chance

    def read(self) -> Walk[ControlReading]:
        """Of each kind the highest version wins; a majority took it, so any majority shows it."""
        found: FleetAnswers[Shown] = yield partial(
            self._fleet.ask,
            _read_control,
            enough=self._fleet.quorum,
            grace_s=LATE_STORE_GRACE_S,
        )
        return ControlReading(
            records=merge_controls(shown.records for shown in found.answers.values()),
            answered=tuple(found.answers),
            total=len(self._fleet.names),
            is_majority=self._fleet.quorum.is_met(found.answers),
            problems=tuple(
                f"store {name}: {text}"
                for name, shown in found.answers.items()
                for text in shown.unreadable
            ),
            silent=found.problems,
        )

    def put(self, draft: ControlRecord, known_version: int) -> Walk[ControlPut]:
        """Write a decision under a version above `draft.version` and `known_version`."""
        version = max(draft.version, known_version) + 1
        for _ in range(PUT_TRIES):
            put, newest = yield from self._put_everywhere(replace(draft, version=version))
            if put.is_majority or newest < version:
                return put
            version = newest + 1
            yield partial(self._wait, PAUSE_S_MAX * self._chance())
        return put

    def push(self, records: Iterable[ControlRecord]) -> Walk[ControlPut]:
        """Put known records back; a store accepts when it has each in this or a higher version."""
        known = tuple(records)

        def push_one(store: ControlPort) -> None:
            for record in known:
                said = store.put_control(record)
                is_newer = said.outcome == OLDER and said.version > record.version
                if said.outcome != STORED and not is_newer:
                    raise StoreUnreachable(f"{store.name} refused: {said.detail}")

        found: FleetAnswers[None] = yield partial(
            self._fleet.ask, push_one, enough=self._fleet.quorum, grace_s=LATE_STORE_GRACE_S
        )
        return ControlPut(
            accepted_by=tuple(found.answers),
            is_majority=self._fleet.quorum.is_met(found.answers),
            version=max((record.version for record in known), default=0),
            problems=found.problems,
        )

    def _put_everywhere(self, record: ControlRecord) -> Walk[tuple[ControlPut, int]]:
        """Return how it ended and the highest version that a refusing store named (or 0)."""

        def put_one(store: ControlPort) -> Said:
            return store.put_control(record)

        found: FleetAnswers[Said] = yield partial(self._fleet.ask, put_one)
        stored = tuple(n for n, said in found.answers.items() if said.outcome == STORED)
        refused = {n: said.detail for n, said in found.answers.items() if said.outcome != STORED}
        older = (said.version for said in found.answers.values() if said.outcome == OLDER)
        put = ControlPut(
            accepted_by=stored,
            is_majority=self._fleet.quorum.is_met(stored),
            version=record.version,
            problems={**found.problems, **refused},
        )
        return put, max(older, default=0)


def _read_control(store: ControlPort) -> Shown:
    return store.read_control()


# --- the member board ----------------------------------------------------------------------------


class MemberPort(Protocol):
    """The member board in one store. Calls raise StoreUnreachable."""

    def publish(self, node_id: NodeId, nonce: str, beat: int, body: Any) -> None:
        """Take a beat; `body` as this kind of store wants it."""
        ...

    def read_members(self) -> Mapping[NodeId, MemberReading]:
        """Return every member's last beat."""
        ...


class MemberMajority:
    """Publishes beats to all stores, and reads them."""

    def __init__(self, fleet: Fleet[MemberPort]) -> None:
        """Bind the stores."""
        self._fleet = fleet

    def publish(self, node_id: NodeId, nonce: str, beat: int, body: Any) -> Walk[MemberPublish]:
        """Publish a beat; one that is sent to a slow store still arrives."""

        def publish_one(store: MemberPort) -> None:
            store.publish(node_id, nonce, beat, body)

        found: FleetAnswers[None] = yield partial(
            self._fleet.ask, publish_one, enough=self._fleet.quorum, grace_s=LATE_STORE_GRACE_S
        )
        return MemberPublish(accepted_by=tuple(found.answers), problems=found.problems)

    def read(self) -> Walk[Mapping[NodeId, MemberReading]]:
        """Return the freshest reading of each node among the stores that answered."""
        found: FleetAnswers[Mapping[NodeId, MemberReading]] = yield partial(
            self._fleet.ask,
            _read_members,
            enough=self._fleet.quorum,
            grace_s=LATE_STORE_GRACE_S,
        )
        return merge_members(found.answers)


def _read_members(store: MemberPort) -> Mapping[NodeId, MemberReading]:
    return store.read_members()

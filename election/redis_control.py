"""Control records in the lease stores: pause, loss limit, switchover, and the like.

Not fenced by the lease: a person must be able to pause a cluster that nobody leads. Versions
order the records (lua/control_put.lua); a majority decides whether a decision will be found again.
"""

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from election.address import StoreAddress
from election.connections import StoreConnection
from election.control_record import (
    VERSION_MAX,
    ControlPut,
    ControlReading,
    ControlRecord,
    merge_controls,
    parse_controls,
    render_control,
)
from election.errors import StoreUnreachable
from election.redis_fleet import LATE_STORE_GRACE_S, StoreFleet
from election.redis_reply import fields_of, keys_of, list_of, text_of
from election.redis_scripts import ScriptName, load_script, run_script

# Kinds of records in one store: five are in use; more than this is somebody else's hash.
KINDS_MAX: Final = 32
# Characters of one record; a decision is a few words. Bounded, as the server's memory is.
RECORD_MAX: Final = 16_384
# How often a higher version is tried when another writer was faster: two people rarely meet
# twice, five times means that something writes in a loop.
PUT_TRIES: Final = 5
_PAUSE_S_MAX: Final = 0.05

_STORED, _OLDER = "none", "older"


class ControlBoard:
    """Reads and writes control records in all stores. Blocking, thread-safe."""

    def __init__(
        self,
        addresses: Sequence[StoreAddress],
        cluster_id: str,
        request_timeout_ms: int,
        *,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._key = keys_of(cluster_id).control
        self._script = load_script(ScriptName.CONTROL_PUT)
        self._wait = wait
        self._fleet = StoreFleet(
            addresses, request_timeout_ms=request_timeout_ms, purpose="control"
        )

    def read(self) -> ControlReading:
        """Read all stores; of each kind the highest version wins.

        Once a majority has answered the others are awaited only shortly: what a majority took is
        in some store of any majority.
        """
        found = self._fleet.ask(
            self._read_one, enough=self._fleet.majority, grace_s=LATE_STORE_GRACE_S
        )
        problems: list[str] = []
        readings: list[Mapping[str, ControlRecord]] = []
        for name, texts in found.answers.items():
            records, unreadable = parse_controls(texts)
            readings.append(records)
            problems += [f"store {name}: {text}" for text in unreadable]
        return ControlReading(
            records=merge_controls(readings),
            answered=tuple(found.answers),
            total=len(self._fleet.names),
            problems=tuple(problems),
            silent=found.problems,
        )

    def put(
        self,
        kind: str,
        value: Mapping[str, object],
        by: str,
        at_ms: int,
        reason: str,
        *,
        above: int = 0,
    ) -> ControlPut:
        """Write a decision under a version above all that the stores (and `above`) know.

        Args:
            kind: which decision, e.g. "pause".
            value: what was decided.
            by: who decided, for people.
            at_ms: wall time of the decision, for people.
            reason: why, for people.
            above: highest version known from elsewhere, e.g. from this node's disk.

        Raises:
            ValueError: the value cannot be JSON, or the record is too long.
        """
        known = self.read().records.get(kind)
        version = max(above, known.version if known else 0) + 1
        for _ in range(PUT_TRIES):
            record = ControlRecord(
                kind=kind, version=version, value=value, by=by, at_ms=at_ms, reason=reason
            )
            put, newest = self._put_everywhere(record)
            if put.is_majority or newest < version:
                return put
            version = newest + 1
            self._wait(random.uniform(0, _PAUSE_S_MAX))  # noqa: S311  (not a secret)
        return put

    def push(self, records: Iterable[ControlRecord]) -> ControlPut:
        """Put known records back, e.g. after a store lost its data; doing it twice is harmless.

        A store counts as accepting when it has every record in this or a higher version.
        `version` is the highest one pushed. Once a majority has them the others are awaited only
        shortly: a takeover pushes, and must not wait for the store of the box that died.
        """
        rendered = [(record, _rendered(record)) for record in records]

        def push_one(connection: StoreConnection, deadline_s: float) -> None:
            for record, text in rendered:
                outcome, newest, detail = self._put_one(connection, deadline_s, record, text)
                if outcome == _STORED or (outcome == _OLDER and newest > record.version):
                    continue
                raise StoreUnreachable(f"{connection.address.text} refused: {detail}")

        found = self._fleet.ask(push_one, enough=self._fleet.majority, grace_s=LATE_STORE_GRACE_S)
        return ControlPut(
            accepted_by=tuple(found.answers),
            is_majority=len(found.answers) >= self._fleet.majority,
            version=max((record.version for record, _ in rendered), default=0),
            problems=found.problems,
        )

    def close(self) -> None:
        """Close the connections."""
        self._fleet.close()

    def _put_everywhere(self, record: ControlRecord) -> tuple[ControlPut, int]:
        """Return how it ended and the highest version that a refusing store named (or 0)."""
        text = _rendered(record)
        found = self._fleet.ask(
            lambda connection, deadline_s: self._put_one(connection, deadline_s, record, text)
        )
        accepted = tuple(
            name for name, (outcome, _, _) in found.answers.items() if outcome == _STORED
        )
        refused = {
            name: detail
            for name, (outcome, _, detail) in found.answers.items()
            if outcome != _STORED
        }
        newest = max(
            (version for outcome, version, _ in found.answers.values() if outcome == _OLDER),
            default=0,
        )
        put = ControlPut(
            accepted_by=accepted,
            is_majority=len(accepted) >= self._fleet.majority,
            version=record.version,
            problems={**found.problems, **refused},
        )
        return put, newest

    def _put_one(
        self, connection: StoreConnection, deadline_s: float, record: ControlRecord, text: str
    ) -> tuple[str, int, str]:
        reply = run_script(
            connection,
            self._script,
            keys=(self._key,),
            arguments=(record.kind, record.version, text, KINDS_MAX),
            deadline_s=deadline_s,
        )
        outcome, version, detail, _text_now = list_of(reply, size=4)
        if not isinstance(version, int):
            raise StoreUnreachable(f"{connection.address.text}: unreadable answer")
        return text_of(outcome), version, text_of(detail)

    def _read_one(self, connection: StoreConnection, deadline_s: float) -> Mapping[str, str]:
        return fields_of(connection.call("HGETALL", self._key, deadline_s=deadline_s))


def _rendered(record: ControlRecord) -> str:
    text = render_control(record)
    if not record.kind or not 0 < record.version <= VERSION_MAX or len(text) > RECORD_MAX:
        raise ValueError(
            f"control record {record.kind!r} version {record.version}: {len(text)} characters; "
            f"it needs a kind, a version from 1, and at most {RECORD_MAX} characters"
        )
    return text

"""Control records in the lease stores: pause, loss limit, switchover, and the like.

Not fenced by the lease: a person must be able to pause a cluster that nobody leads. Versions
order the records (lua/control_put.lua); a majority decides whether a decision will be found again.
"""

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from election.address import StoreAddress
from election.connections import StoreConnection
from election.control_record import (
    VERSION_MAX,
    ControlPut,
    ControlReading,
    ControlRecord,
    parse_controls,
    render_control,
)
from election.errors import StoreUnreachable
from election.majority import ControlMajority, ControlPort, Said, Shown
from election.redis_fleet import PortFleet, StoreFleet
from election.redis_reply import fields_of, keys_of, list_of, text_of
from election.redis_scripts import ScriptName, load_script, run_script
from election.script_text import Script
from election.walks import run_walk

# Kinds of records in one store: five are in use; more than this is somebody else's hash.
KINDS_MAX: Final = 32
# Characters of one record; a decision is a few words. Bounded, as the server's memory is.
RECORD_MAX: Final = 16_384


class _Port:
    """The control records in one store, over one connection and within one time limit."""

    def __init__(
        self, key: str, script: Script, connection: StoreConnection, deadline_s: float
    ) -> None:
        self._key, self._script = key, script
        self._connection, self._deadline_s = connection, deadline_s

    @property
    def name(self) -> str:
        return self._connection.address.text

    def put_control(self, record: ControlRecord) -> Said:
        reply = run_script(
            self._connection,
            self._script,
            keys=(self._key,),
            arguments=(record.kind, record.version, _rendered(record), KINDS_MAX),
            deadline_s=self._deadline_s,
        )
        outcome, version, detail, _text_now = list_of(reply, size=4)
        if not isinstance(version, int):
            raise StoreUnreachable(f"{self.name}: unreadable answer")
        return Said(text_of(outcome), version, text_of(detail))

    def read_control(self) -> Shown:
        reply = self._connection.call("HGETALL", self._key, deadline_s=self._deadline_s)
        records, unreadable = parse_controls(fields_of(reply))
        return Shown(records, tuple(unreadable))


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
        self._fleet = StoreFleet(
            addresses, request_timeout_ms=request_timeout_ms, purpose="control"
        )
        key, script = keys_of(cluster_id).control, load_script(ScriptName.CONTROL_PUT)
        ports: PortFleet[ControlPort] = PortFleet(
            self._fleet, lambda connection, limit_s: _Port(key, script, connection, limit_s)
        )
        self._majority = ControlMajority(ports, wait=wait, chance=random.random)

    def read(self) -> ControlReading:
        """Read all stores; of each kind the highest version wins.

        Once a majority has answered the others are awaited only shortly: what a majority took is
        in some store of any majority.
        """
        return run_walk(self._majority.read())

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
        draft = ControlRecord(
            kind=kind, version=above, value=value, by=by, at_ms=at_ms, reason=reason
        )
        _rendered(replace(draft, version=above + 1))  # what cannot be stored is refused here
        known = self.read().records.get(kind)
        return run_walk(self._majority.put(draft, known.version if known else 0))

    def push(self, records: Iterable[ControlRecord]) -> ControlPut:
        """Put known records back, e.g. after a store lost its data; doing it twice is harmless.

        A store counts as accepting when it has every record in this or a higher version.
        `version` is the highest one pushed. Once a majority has them the others are awaited only
        shortly: a takeover pushes, and must not wait for the store of the box that died.
        """
        known = tuple(records)
        for record in known:
            _rendered(record)  # what cannot be stored is refused here
        return run_walk(self._majority.push(known))

    def close(self) -> None:
        """Close the connections."""
        self._fleet.close()


def _rendered(record: ControlRecord) -> str:
    text = render_control(record)
    if not record.kind or not 0 < record.version <= VERSION_MAX or len(text) > RECORD_MAX:
        raise ValueError(
            f"control record {record.kind!r} version {record.version}: {len(text)} characters; "
            f"it needs a kind, a version from 1, and at most {RECORD_MAX} characters"
        )
    return text

"""The member board in the lease stores: each node's heartbeat and what it says about itself.

Not fenced: a standby must be seen too. A store that is down is skipped; the next beat is as good.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from election.address import StoreAddress
from election.connections import StoreConnection
from election.errors import StoreUnreachable
from election.majority import MemberMajority, MemberPort
from election.member_record import (
    MemberPublish,
    MemberReading,
    parse_members,
    render_body,
)
from election.model import NodeId
from election.redis_fleet import PortFleet, StoreFleet
from election.redis_reply import fields_of, keys_of, list_of, text_of, time_us_of
from election.redis_scripts import ScriptName, load_script, run_script
from election.resp import ServerSaid
from election.script_text import Script
from election.walks import run_walk

# Members of one cluster: two or three nodes. More than this is somebody else's hash.
MEMBERS_MAX: Final = 16
# Characters of one body: a page of facts. With all members still far below the server's memory.
BODY_MAX: Final = 16_384

_STORED = "none"


class _Port:
    """The member board in one store, over one connection and within one time limit."""

    def __init__(
        self, key: str, script: Script, connection: StoreConnection, deadline_s: float
    ) -> None:
        self._key, self._script = key, script
        self._connection, self._deadline_s = connection, deadline_s

    def publish(self, node_id: NodeId, nonce: str, beat: int, body: str) -> None:
        reply = run_script(
            self._connection,
            self._script,
            keys=(self._key,),
            arguments=(node_id, json.dumps(nonce), beat, body, MEMBERS_MAX),
            deadline_s=self._deadline_s,
        )
        outcome, detail = list_of(reply, size=2)
        if text_of(outcome) != _STORED:
            place = self._connection.address.text
            raise StoreUnreachable(f"{place} refused: {text_of(detail)}")

    def read_members(self) -> Mapping[NodeId, MemberReading]:
        address = self._connection.address
        replies = self._connection.call_many(
            (("HGETALL", self._key), ("TIME",)), deadline_s=self._deadline_s
        )
        for reply in replies:
            if isinstance(reply, ServerSaid):
                raise StoreUnreachable(f"{address.text}: {reply}")
        members, _problems = parse_members(
            fields_of(replies[0]), now_us=time_us_of(replies[1]), store=address.name
        )
        return members


class MemberBoard:
    """Publishes and reads member records. Blocking, thread-safe."""

    def __init__(
        self, addresses: Sequence[StoreAddress], *, cluster_id: str, request_timeout_ms: int
    ) -> None:
        self._fleet = StoreFleet(
            addresses, request_timeout_ms=request_timeout_ms, purpose="members"
        )
        key, script = keys_of(cluster_id).members, load_script(ScriptName.MEMBER_PUBLISH)
        ports: PortFleet[MemberPort] = PortFleet(
            self._fleet, lambda connection, limit_s: _Port(key, script, connection, limit_s)
        )
        self._majority = MemberMajority(ports)

    def publish(
        self, node_id: NodeId, nonce: str, beat: int, body: Mapping[str, object]
    ) -> MemberPublish:
        """Publish this node's beat to all stores in parallel, within the request timeout.

        Once a majority has answered the others are awaited only shortly; a beat that was sent to
        them still arrives.

        Raises:
            ValueError: the body cannot be JSON (NaN included) or is too long.
        """
        text = render_body(body)
        if len(text) > BODY_MAX or not node_id or beat < 0:
            raise ValueError(f"member body of {len(text)} characters; at most {BODY_MAX}")
        return run_walk(self._majority.publish(node_id, nonce, beat, text))

    def read(self) -> Mapping[NodeId, MemberReading]:
        """Return the freshest reading of each node among the stores that answered."""
        return run_walk(self._majority.read())

    def close(self) -> None:
        """Close the connections."""
        self._fleet.close()

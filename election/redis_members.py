"""The member board in the lease stores: each node's heartbeat and what it says about itself.

Not fenced: a standby must be seen too. A store that is down is skipped; the next beat is as good.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from election.address import StoreAddress
from election.connections import StoreConnection
from election.errors import StoreUnreachable
from election.member_record import (
    MemberPublish,
    MemberReading,
    merge_members,
    parse_members,
    render_body,
)
from election.model import NodeId
from election.redis_fleet import LATE_STORE_GRACE_S, StoreFleet
from election.redis_reply import fields_of, keys_of, list_of, text_of, time_us_of
from election.redis_scripts import ScriptName, load_script, run_script
from election.resp import ServerSaid

# Members of one cluster: two or three nodes. More than this is somebody else's hash.
MEMBERS_MAX: Final = 16
# Characters of one body: a page of facts. With all members still far below the server's memory.
BODY_MAX: Final = 16_384

_STORED = "none"


class MemberBoard:
    """Publishes and reads member records. Blocking, thread-safe."""

    def __init__(
        self, addresses: Sequence[StoreAddress], *, cluster_id: str, request_timeout_ms: int
    ) -> None:
        self._key = keys_of(cluster_id).members
        self._script = load_script(ScriptName.MEMBER_PUBLISH)
        self._fleet = StoreFleet(
            addresses, request_timeout_ms=request_timeout_ms, purpose="members"
        )

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
        arguments = (node_id, json.dumps(nonce), beat, text, MEMBERS_MAX)

        def publish_one(connection: StoreConnection, deadline_s: float) -> None:
            reply = run_script(
                connection,
                self._script,
                keys=(self._key,),
                arguments=arguments,
                deadline_s=deadline_s,
            )
            outcome, detail = list_of(reply, size=2)
            if text_of(outcome) != _STORED:
                raise StoreUnreachable(f"{connection.address.text} refused: {text_of(detail)}")

        found = self._fleet.ask(
            publish_one, enough=self._fleet.majority, grace_s=LATE_STORE_GRACE_S
        )
        return MemberPublish(accepted_by=tuple(found.answers), problems=found.problems)

    def read(self) -> Mapping[NodeId, MemberReading]:
        """Return the freshest reading of each node among the stores that answered."""
        found = self._fleet.ask(
            self._read_one, enough=self._fleet.majority, grace_s=LATE_STORE_GRACE_S
        )
        return merge_members(found.answers)

    def close(self) -> None:
        """Close the connections."""
        self._fleet.close()

    def _read_one(
        self, connection: StoreConnection, deadline_s: float
    ) -> Mapping[NodeId, MemberReading]:
        replies = connection.call_many((("HGETALL", self._key), ("TIME",)), deadline_s=deadline_s)
        for reply in replies:
            if isinstance(reply, ServerSaid):
                raise StoreUnreachable(f"{connection.address.text}: {reply}")
        members, _problems = parse_members(
            fields_of(replies[0]), now_us=time_us_of(replies[1]), store=connection.address.name
        )
        return members

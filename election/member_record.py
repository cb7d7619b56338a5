"""Member records: what each node says about itself on the member board.

Pure. A record is one JSON text `{"nonce":"...","beat":N,"seen_us":...,"body":{...}}`, where
`seen_us` is the wall clock of the store that keeps it: an age is told against that same clock.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from election.model import NodeId, StoreName

_US_PER_S = 1_000_000


class MemberReading(NamedTuple):
    """The freshest record of one node.

    `age_s` is by the store's own clock and for display; whoever decides watches `beat` grow (R1).
    `stores` are those that show this process (the same nonce).
    """

    node_id: NodeId
    nonce: str
    beat: int
    body: Mapping[str, object]
    age_s: float
    stores: tuple[StoreName, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberPublish:
    """Which stores took a beat, and why the others did not."""

    accepted_by: tuple[StoreName, ...]
    problems: Mapping[StoreName, str]


def render_body(body: Mapping[str, object]) -> str:
    """Render a body as JSON.

    Raises:
        ValueError: the body cannot be JSON (NaN included).
    """
    try:
        return json.dumps(dict(body), separators=(",", ":"), allow_nan=False)
    except TypeError as error:
        raise ValueError(f"member body: {error}") from None


def parse_member(node_id: str, text: str, *, now_us: int, store: StoreName) -> MemberReading:
    """Parse one record as one store shows it; `now_us` is that store's wall clock.

    Raises:
        ValueError: it is not a member record.
    """
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"member record of {node_id} is not JSON") from None
    match record:
        case {
            "nonce": str(nonce),
            "beat": int(beat),
            "seen_us": int(seen_us),
            "body": dict(body),
        }:
            return MemberReading(
                node_id=NodeId(node_id),
                nonce=nonce,
                beat=beat,
                body=body,
                # A wall clock that was set back gives a negative age; "just now" misleads less.
                age_s=max(now_us - seen_us, 0) / _US_PER_S,
                stores=(store,),
            )
        case _:
            raise ValueError(f"member record of {node_id} lacks a field")


def merge_members(
    readings: Mapping[StoreName, Mapping[NodeId, MemberReading]],
) -> Mapping[NodeId, MemberReading]:
    """Return the freshest reading of each node, with all stores that show the same process."""
    found: dict[NodeId, list[MemberReading]] = {}
    for members in readings.values():
        for node_id, reading in members.items():
            found.setdefault(node_id, []).append(reading)
    return {node_id: _freshest(shown) for node_id, shown in found.items()}


def _freshest(shown: list[MemberReading]) -> MemberReading:
    if len(shown) == 1:
        return shown[0]
    best = min(shown, key=lambda reading: (reading.age_s, -reading.beat))
    same = [reading for reading in shown if reading.nonce == best.nonce]
    return MemberReading(
        node_id=best.node_id,
        nonce=best.nonce,
        beat=max(reading.beat for reading in same),
        body=best.body,
        age_s=best.age_s,
        stores=tuple(store for reading in same for store in reading.stores),
    )


def parse_members(
    texts: Mapping[str, str], *, now_us: int, store: StoreName
) -> tuple[Mapping[NodeId, MemberReading], tuple[str, ...]]:
    """Return the members that one store shows, and what could not be read."""
    members: dict[NodeId, MemberReading] = {}
    problems: list[str] = []
    for node_id, text in texts.items():
        try:
            members[NodeId(node_id)] = parse_member(node_id, text, now_us=now_us, store=store)
        except ValueError as error:
            problems.append(str(error))
    return members, tuple(problems)

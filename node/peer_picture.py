"""What a node knows of the other one directly, as values; and what it publishes of that. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from election.peer import PeerStatus
from election.promise import Promise, PromiseMemory

# An answer older than this is no answer any more, for people: a few polls.
HEARD_S = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerPicture:
    """What the work loop and the status may know of the other node, directly.

    `problem` says why this node's own endpoint does not work; `error` why the other one was not
    heard the last time; `reasons` why nobody may trade (R13).
    """

    is_on: bool
    problem: str = ""
    peer: str = ""
    heard_s: float | None = None
    error: str = ""
    reasons: tuple[str, ...] = ()
    memory: PromiseMemory | None = None
    relies_on: Promise | None = None
    status: PeerStatus | None = None

    @property
    def is_heard(self) -> bool:
        """True while the other node answers."""
        return self.heard_s is not None and self.heard_s <= HEARD_S


def picture_body(picture: PeerPicture | None) -> Mapping[str, Any]:
    """Return what the member board shows of it, as JSON values."""
    if picture is None:
        return {}
    trouble = picture.problem or ("" if picture.is_heard else picture.error or "not asked yet")
    return {
        "peer": picture.peer,
        "peer_error": trouble,
        "relies_on": "" if picture.relies_on is None else picture.relies_on.by,
    }

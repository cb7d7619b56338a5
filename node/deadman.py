"""When an outside service is pinged, with which words, and when its silence is told. Pure.

Rules of this file:

- A ping is due only in a turn in which the caller finished the work that the ping stands for. No
  timer sends one: a loop that hangs sends nothing, and that is the alarm.
- The URL is opaque. Two conventions are known by their shape, to carry words along: a
  healthchecks.io UUID (or ping key and slug), and Uptime Kuma's `/api/push/<token>`. Any other URL
  is fetched as it stands while all is well, and left alone while it is not.
- What is said goes to a stranger: who leads, never what is held or earned. The URL is a secret.

Source: healthchecks.io/docs/http_api, github.com/louislam/uptime-kuma/wiki/Internal-API
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from election.model import NEVER_S

# After a ping that was lost the next one comes sooner, within what healthchecks.io allows (five a
# minute): one lost packet should not use up half of a grace of three minutes.
RETRY_S = 15.0
# Not asked for so many paces (it was not the leader): what failed before is another story.
FORGET_PACES = 3
TEXT_MAX = 200
_UUID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", re.IGNORECASE)
_KUMA = "/api/push/"
_HEALTHCHECKS = "hc-ping.com"
# healthchecks.io answers a wrong or too frequent UUID with 200 and these words.
_REFUSALS = ("not found", "rate limited")
_OK = range(200, 300)


class Watched(StrEnum):
    """For what a URL stands: somebody trades, or this one box works."""

    CLUSTER = "cluster"
    NODE = "node"


class DeadmanNotice(StrEnum):
    """What a step asks to log, and to tell."""

    LOST = "lost"  # the first ping without an answer: for the log
    SILENT = "silent"  # for so long that a person should know
    BACK = "back"  # answers again, after LOST only
    BACK_TOLD = "back_told"  # answers again, after SILENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """What is said: `is_well` False asks for an alarm now; `last_ms`: how long the last took."""

    is_well: bool
    text: str
    last_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideView:
    """How one URL does: monotonic instant of its last answer, and what is wrong since (empty: no).

    `answered_s` is NEVER_S before the first answer.
    """

    answered_s: float
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PingRequest:
    """One HTTP request. Its URL is a secret: never in a log or an error."""

    method: str
    url: str
    body: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PingAnswer:
    """What came back: how long it took, or why it does not count (without the URL)."""

    took_ms: float | None
    error: str = ""


def render_ping(url: str, ping: Ping) -> PingRequest | None:
    """Return the request that says it, None where this URL has no way to say that all is not well.

    Args:
        url: as the owner wrote it.
        ping: what to say.
    """
    parts = urlsplit(url)
    text = " ".join(ping.text.split())[:TEXT_MAX]
    if _KUMA in parts.path:
        said = {
            "status": "up" if ping.is_well else "down",
            "msg": text,
            "ping": "" if ping.last_ms is None else f"{ping.last_ms:.0f}",
        }
        kept = [(k, v) for k, v in parse_qsl(parts.query) if k not in said]
        query = urlencode([*kept, *said.items()])
        return PingRequest(method="GET", url=urlunsplit(parts._replace(query=query, fragment="")))
    if _is_healthchecks(parts.hostname or "", parts.path):
        path = parts.path.rstrip("/") + ("" if ping.is_well else "/fail")
        there = urlunsplit(parts._replace(path=path, fragment=""))
        return PingRequest(method="POST", url=there, body=text)
    return PingRequest(method="GET", url=url) if ping.is_well else None


def judge_answer(status: int, body: str, took_ms: float) -> PingAnswer:
    """Return what an HTTP answer means; `body` is its beginning."""
    if status not in _OK:
        return PingAnswer(took_ms=None, error=f"the service answered HTTP {status}")
    said = body.strip().lower()
    for refusal in _REFUSALS:
        if said == f"ok ({refusal})":
            return PingAnswer(took_ms=None, error=f"the service says: {refusal}")
    return PingAnswer(took_ms=took_ms)


def _is_healthchecks(host: str, path: str) -> bool:
    segments = [part for part in path.split("/") if part]
    if not segments:
        return False
    return bool(_UUID.match(segments[-1])) or (host == _HEALTHCHECKS and len(segments) == 2)  # noqa: PLR2004  (ping key and slug)


@dataclass(slots=True, kw_only=True)
class DeadmanClock:
    """The pings of one URL: when the next is due, since when none was answered, what was told.

    `now_s` is monotonic. `pace_s` and `tell_after_s` as in the configuration.
    """

    pace_s: float
    tell_after_s: float
    answered_s: float = NEVER_S
    last_ms: float | None = None
    error: str = ""
    _tried_s: float = NEVER_S
    _failing_since_s: float | None = None
    _was_told: bool = False

    def is_due(self, now_s: float) -> bool:
        """Tell whether the work that was just finished should be reported."""
        wait_s = self.pace_s if self._failing_since_s is None else min(self.pace_s, RETRY_S)
        return now_s - self._tried_s >= wait_s

    def note_try(self, now_s: float) -> None:
        """A ping leaves, or could not leave because the one before it still hangs."""
        if now_s - self._tried_s > FORGET_PACES * self.pace_s and not self._was_told:
            self._failing_since_s = None
        self._tried_s = now_s

    def note_answer(self, now_s: float, answer: PingAnswer) -> DeadmanNotice | None:
        """Take what became of a ping; return what is news about it."""
        if answer.took_ms is not None:
            return self._note_good(now_s, answer.took_ms)
        self.error = answer.error
        if self._failing_since_s is None:
            self._failing_since_s = now_s
            return DeadmanNotice.LOST
        if self._was_told or now_s - self._failing_since_s < self.tell_after_s:
            return None
        self._was_told = True
        return DeadmanNotice.SILENT

    def _note_good(self, now_s: float, took_ms: float) -> DeadmanNotice | None:
        was_failing, was_told = self._failing_since_s is not None, self._was_told
        self.answered_s, self.last_ms, self.error = now_s, took_ms, ""
        self._failing_since_s, self._was_told = None, False
        if was_told:
            return DeadmanNotice.BACK_TOLD
        return DeadmanNotice.BACK if was_failing else None

    def failing_s(self, now_s: float) -> float:
        """Return for how long no ping was answered, 0 while they are."""
        return 0.0 if self._failing_since_s is None else now_s - self._failing_since_s

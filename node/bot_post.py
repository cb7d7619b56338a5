"""One message to one chat of the Bot API, with the standard library alone.

For a stop hook (failed_start.py): everybody else sends through alerts/. Rules of this file: one
request, no redirect, every outcome a value; the address holds the token, so it is in no error.
"""

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any

from node.redact import redact
from node.starts import Chat

REQUEST_S = 4.0
ANSWER_BYTES_MAX = 4096
_TOO_MANY = 429
_WAIT_S_MAX = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """How one attempt ended; `error` is empty when the message was taken."""

    error: str = ""
    wait_s: float = 0.0


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The address holds the token: nobody else may be sent there."""

    def redirect_request(self, *_: Any) -> None:
        return None


def send(chat: Chat, token: str, text: str) -> Sent:
    """Send one message; the answer that says no, or the error, as words without the address."""
    body = {"chat_id": str(chat.chat_id), "text": text, "disable_web_page_preview": "true"}
    try:
        request = urllib.request.Request(  # noqa: S310  (alarm_address.py lets http and https pass)
            f"{chat.api_url.rstrip('/')}/bot{token}/sendMessage",
            data=urllib.parse.urlencode(body).encode(),
            headers={"User-Agent": "hotspare"},
        )
        opener = urllib.request.build_opener(_NoRedirect)
        with opener.open(request, timeout=REQUEST_S) as answer:
            return Sent() if _is_taken(answer.read(ANSWER_BYTES_MAX)) else _NO_SENSE
    except urllib.error.HTTPError as error:
        with error:
            return _refused(error, token)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        told = reason.strerror if isinstance(reason, OSError) and reason.strerror else None
        return Sent(error=told or ("no answer in time" if isinstance(reason, TimeoutError)
                                   else type(reason).__name__))  # fmt: skip


_NO_SENSE = Sent(error="the answer is not the Bot API's")


def _is_taken(raw: bytes) -> bool:
    try:
        return json.loads(raw)["ok"] is True
    except (ValueError, KeyError, TypeError):
        return False


def _refused(error: urllib.error.HTTPError, token: str) -> Sent:
    try:
        body = json.loads(error.read(ANSWER_BYTES_MAX))
        said = str(body["description"])
        wait_s = float(body.get("parameters", {}).get("retry_after", 0))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        said, wait_s = f"HTTP {error.code}", 0.0
    if error.code != _TOO_MANY:
        wait_s = 0.0
    return Sent(
        error=redact(said[:200], [token]), wait_s=wait_s if 0 <= wait_s <= _WAIT_S_MAX else 0.0
    )

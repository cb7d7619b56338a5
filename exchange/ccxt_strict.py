"""ccxt made strict: an answer that is no answer is an error, and each request has its last hop.

`strict_class` mixes `Strict` into one exchange class of ccxt. What it changes:

- Every request belongs to a `Call` (a context variable of the task that makes it). The call's
  `enter` runs inside `fetch`, after ccxt's throttle and signature, and returns the request's total
  timeout or refuses. A request without a call, or that changes something without a write call,
  is refused.
- HTML, empty, cut and unlisted answers, redirects and bad compression raise BadResponse.
- The raised error carries the `Evidence`: HTTP status, venue code and text, Retry-After. ccxt's
  own messages hold signed URLs and never leave this package.
- Times that are signed come from the measured venue clock, not from the wall clock.

No ccxt import at the top: importing any of its modules would load all exchanges (ccxt_import.py).
"""

import logging
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final, Protocol
from urllib.parse import urlsplit, urlunsplit

from exchange.ccxt_import import errors_module, import_exchange


class CallRefused(Exception):  # noqa: N818  (says what happened; nothing was sent)
    """The last hop refused the request; it did not leave."""


class Call(Protocol):
    """One request, or one read, in the words of the last hop."""

    shape: type | None
    row_count: int | None

    def enter(self, *, is_change: bool) -> float:
        """Return the request's total timeout in seconds, or raise CallRefused."""
        ...


CURRENT_CALL: ContextVar[Call | None] = ContextVar("hotspare_call", default=None)


@dataclass(slots=True, kw_only=True)
class ReadCall:
    """A read: any number of requests, none of which may change anything."""

    timeout_s: float
    shape: type | None = None
    row_count: int | None = None

    def enter(self, *, is_change: bool) -> float:
        """Refuse what changes something."""
        if is_change:
            raise CallRefused("a read tried to change something at the venue")
        return self.timeout_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the venue's answer itself said, free of secrets."""

    status: int
    code: str | None
    message: str
    retry_after_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What a strict exchange asks and tells."""

    now_ms: Callable[[], int]
    on_headers: Callable[[int, Mapping[str, str]], None]
    changing_gets: frozenset[str] = frozenset()
    base_url: str | None = None
    official_hosts: dict[str, str] = field(default_factory=dict)


MESSAGE_LENGTH_MAX: Final = 200


def evidence_of(error: BaseException) -> Evidence | None:
    """Return what the venue said, None when no whole answer was read."""
    found = getattr(error, "hotspare_evidence", None)
    return found if isinstance(found, Evidence) else None


def class_names(error: BaseException) -> frozenset[str]:
    """Return the names of an error's class and all of its bases."""
    return frozenset(c.__name__ for c in type(error).__mro__)


class Strict:
    """Mixin for one of ccxt's asynchronous exchange classes; see the module's text."""

    hooks: Hooks
    errors: ModuleType
    # ccxt logs headers (the API key) at debug level; this logger has no handler and no parent.
    logger = logging.Logger("ccxt-silenced", level=logging.CRITICAL + 1)  # noqa: LOG001

    async def fetch(
        self, url: str, method: str = "GET", headers: Any = None, body: Any = None
    ) -> Any:
        """Send one request under the current call's conditions.

        Nothing is awaited between `enter` and the moment aiohttp has the request.
        """
        host: Any = self
        call = CURRENT_CALL.get()
        if call is None:
            raise CallRefused("a request outside of any call was stopped")
        parent: Any = super()
        host.timeout = call.enter(is_change=self._is_change(method, url)) * 1000
        try:
            answer = await parent.fetch(url, method, headers, body)
        except self.errors.ExchangeError as error:
            if type(error) is self.errors.ExchangeError and evidence_of(error) is None:
                # Cut, badly packed or garbled: ccxt does not tell it from a refusal.
                raise self.errors.BadResponse("the answer could not be read") from error
            raise
        if not isinstance(answer, dict | list):
            raise self.errors.BadResponse("the answer is not JSON")
        if call.shape is not None and not isinstance(answer, call.shape):
            raise self.errors.BadResponse(
                f"a {call.shape.__name__} was due, the answer is a {type(answer).__name__}"
            )
        call.row_count = len(answer) if isinstance(answer, list) else None
        return answer

    def on_rest_response(self, code: int, reason: Any, *rest: Any) -> Any:
        """Tell the headers: the venue counts request weights there."""
        self.hooks.on_headers(code, {k.lower(): v for k, v in rest[2].items()})
        parent: Any = super()
        return parent.on_rest_response(code, reason, *rest)

    def handle_errors(self, code: int, reason: Any, *rest: Any) -> Any:
        """Attach to a mapped error what the venue said."""
        headers, response = rest[2], rest[4]
        parent: Any = super()
        try:
            return parent.handle_errors(code, reason, *rest)
        except self.errors.BaseError as error:
            _attach(error, code, response, headers)
            raise

    def handle_http_status_code(self, code: int, reason: Any, *rest: Any) -> None:
        """Refuse redirects and every status that ccxt's table forgets (524, 300, 598, ...)."""
        parent: Any = super()
        try:
            parent.handle_http_status_code(code, reason, *rest)
        except self.errors.BaseError as error:
            _attach(error, code, None, {})
            raise
        if not 200 <= code < 300:  # noqa: PLR2004  HTTP's classes
            bad = self.errors.BadResponse(f"HTTP {code} is no answer")
            _attach(bad, code, None, {})
            raise bad

    def sign(self, *args: Any, **kwargs: Any) -> Any:
        """Pass on; the signature of this method changes between ccxt's patch releases."""
        parent: Any = super()
        return parent.sign(*args, **kwargs)

    def nonce(self) -> int:
        """Return the venue's time; signed requests are stamped with it."""
        return self.hooks.now_ms()

    def get_exceptions_by_url(self, url: str, exact_or_broad: str) -> Any:
        """Look the error tables up as if the local exchange were the real host."""
        parent: Any = super()
        return parent.get_exceptions_by_url(self._official_url(url), exact_or_broad)

    def _is_change(self, method: str, url: str) -> bool:
        if method.upper() not in ("GET", "HEAD"):
            return True
        path = urlsplit(url).path
        return any(path.endswith(changing) for changing in self.hooks.changing_gets)

    def _official_url(self, url: str) -> str:
        if self.hooks.base_url is None or url is None:
            return url
        parts = urlsplit(url)
        for prefix, host in self.hooks.official_hosts.items():
            if parts.path.startswith(prefix + "/"):
                scheme, netloc = host.split("://", 1)
                return urlunsplit((scheme, netloc, parts.path, "", ""))
        return url


def _attach(error: Any, status: int, response: Any, headers: Mapping[str, str]) -> None:
    code = message = None
    if isinstance(response, list) and len(response) == 1:
        response = response[0]
    if isinstance(response, dict):
        code, message = response.get("code"), response.get("msg")
    error.hotspare_evidence = Evidence(
        status=status,
        code=None if code is None else str(code),
        message=_plain(message),
        retry_after_s=_retry_after_s(headers),
    )


def _plain(message: Any) -> str:
    text = message if isinstance(message, str) else ""
    return "".join(c if c.isprintable() else " " for c in text)[:MESSAGE_LENGTH_MAX]


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    for name, value in headers.items():
        if name.lower() == "retry-after":
            # Only the form in seconds; a date would need a wall clock that can be trusted.
            return float(value) if value.strip().isdecimal() else None
    return None


def strict_class(exchange_id: str) -> type[Any]:
    """Return ccxt's class of one exchange with `Strict` in front of it."""
    plain = import_exchange(exchange_id)
    return type(f"Strict{exchange_id}", (Strict, plain), {"errors": errors_module()})

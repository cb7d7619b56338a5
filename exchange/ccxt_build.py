"""Build one strict ccxt instance from settings: addresses, options, numbers, no throttle."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from exchange.ccxt_session import OnceSession
from exchange.ccxt_strict import Hooks, strict_class
from exchange.errors import ConfigurationRefused
from exchange.venues import VenueRow, VenueSettings

# Window of signed reads; the venue's own default. Reads are harmless when they come late.
READ_RECV_WINDOW_MS: Final = 5_000


def build_session(settings: VenueSettings) -> OnceSession:
    """Return the HTTP session for one instance; nothing is opened yet."""
    is_plain = settings.base_url is not None and settings.base_url.startswith("http://")
    return OnceSession(is_encrypted=not is_plain)


def build_exchange(
    settings: VenueSettings,
    row: VenueRow,
    *,
    session: OnceSession,
    now_ms: Callable[[], int],
    on_headers: Callable[[int, Mapping[str, str]], None],
) -> Any:
    """Return a ccxt instance that has opened nothing yet.

    Raises:
        ConfigurationRefused: the sandbox could not be switched on; using the real addresses
            instead would trade real money.
    """
    exchange: Any = strict_class(settings.exchange_id)(
        {
            "apiKey": settings.api_key,
            "secret": settings.api_secret,
            "number": str,
            "enableRateLimit": False,
            "session": session,
            "aiohttp_trust_env": False,
            "options": {
                **deepcopy(dict(row.options)),
                "recvWindow": READ_RECV_WINDOW_MS,
                "maxRetriesOnFailure": 0,
            },
        }
    )
    exchange.ssl_context = session.ssl_context  # or it would build its own in the first request
    exchange.timeout_on_exit = 0  # it would sleep that long in close()
    exchange.enableLastHttpResponse = False  # it would keep every body
    exchange.enableLastJsonResponse = False
    exchange.has["fetchCurrencies"] = False
    official: dict[str, str] = {}
    if settings.is_sandbox:
        _enter_sandbox(exchange, settings)
    elif settings.base_url is not None:
        official = _point_to(exchange, settings.base_url)
    exchange.hooks = Hooks(
        now_ms=now_ms,
        on_headers=on_headers,
        changing_gets=row.changing_gets,
        base_url=settings.base_url,
        official_hosts=official,
    )
    return exchange


async def close_exchange(exchange: Any, session: OnceSession) -> None:
    """Close the connections of one instance."""
    await session.close()
    await exchange.close()


def _enter_sandbox(exchange: Any, settings: VenueSettings) -> None:
    live = deepcopy(exchange.urls["api"])
    try:
        exchange.set_sandbox_mode(True)
    except Exception as failure:  # noqa: BLE001  after any failure the real addresses are in place
        raise ConfigurationRefused(
            f"{settings.exchange_id}: the sandbox failed: {type(failure).__name__}"
        ) from None
    if exchange.urls["api"] == live:
        raise ConfigurationRefused(f"{settings.exchange_id}: the sandbox changed no address")


def _point_to(exchange: Any, base_url: str) -> dict[str, str]:
    """Rewrite every address to the local exchange; return which real host each path had."""
    base = urlsplit(base_url)
    official: dict[str, str] = {}

    def moved(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: moved(inner) for key, inner in value.items()}
        parts = urlsplit(value)
        if parts.scheme in ("http", "https"):
            official.setdefault(parts.path, f"{parts.scheme}://{parts.netloc}")
        return urlunsplit((base.scheme, base.netloc, parts.path, parts.query, ""))

    exchange.urls["api"] = moved(exchange.urls["api"])
    # The longest path first: /api/v3 must not be taken for /api.
    return dict(sorted(official.items(), key=lambda item: -len(item[0])))

"""What is known about each supported exchange, as one table row each; and the settings of a venue.

A row holds facts (from the venue's own documentation or from experiments against its API), never
code that talks. An exchange without a row is refused: guessing how a venue signals "rejected" or
where it checks a deadline is how orders are doubled. What this file does not cover: how requests
are built and sent (ccxt_*.py, reader.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from exchange.errors import ConfigurationRefused
from exchange.model import OrderStatus


class DeadlineCheck(StrEnum):
    """Where the venue itself refuses a request that comes late."""

    RECEIPT_AND_ENGINE = "at receipt and again before the matching engine"
    RECEIPT = "at receipt only"
    NONE = "nowhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """One entry of the allow-list: an answer that proves that nothing was done.

    `errors` are the ccxt classes that may carry the code. `messages` narrows it to these exact
    texts (compared without case and final full stop); None allows every text, for codes that the
    venue documents as refused before the matching engine.
    """

    errors: frozenset[str]
    messages: frozenset[str] | None = None

    def allows(self, *, error: str, message: str) -> bool:
        """True when the class and the text are on the list."""
        if error not in self.errors:
            return False
        return self.messages is None or normal_text(message) in self.messages


def normal_text(message: str) -> str:
    """Return a venue's message in the form in which the tables hold it."""
    return message.strip().rstrip(".").lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueRow:
    """Facts about one venue.

    Attributes:
        exchange_id: ccxt's id.
        market_kind: the only kind of market that the row covers.
        client_order_id_pattern: what the venue accepts as a client order id.
        deadline: where a request that comes late is refused.
        effect_tail_ms: how long after its deadline a request may still take effect (R9).
        recv_window_max_ms: longest window that the venue accepts.
        options: ccxt options that must be preset before the first call.
        changing_gets: paths that change something although the method is GET; fenced like writes.
        place_rejected, cancel_rejected: the allow-lists, by venue code.
        place_duplicates: code and text that mean "an order with that id exists".
        refused: codes after which a person must act, with how to mend it.
        unknown_order: codes that mean exactly "I know no such order".
        quiet: codes that ask for fewer requests.
        bad_time: codes that say that our time is wrong.
        more_statuses: order states that ccxt has no word for.
        order_fields, fill_fields: raw fields without which an answer is not trusted, because
            ccxt fills them with defaults.
        weights: request weight of each read, as the venue counts it.
        weight_per_minute: the venue's limit for one address.
        used_weight_header: response header with the weight used, lower case; empty when none.
        has_sandbox: whether `set_sandbox_mode` works.
        key_advice: which rights an API key needs, for a person.
        rights_call: ccxt's name of the call that lists a key's rights; empty when there is none.
    """

    exchange_id: str
    market_kind: str
    client_order_id_pattern: str
    deadline: DeadlineCheck
    effect_tail_ms: int
    recv_window_max_ms: int
    options: Mapping[str, object]
    changing_gets: frozenset[str]
    place_rejected: Mapping[str, Rejection]
    cancel_rejected: Mapping[str, Rejection]
    place_duplicates: Mapping[str, frozenset[str]]
    refused: Mapping[str, str]
    unknown_order: frozenset[str]
    quiet: frozenset[str]
    bad_time: frozenset[str]
    more_statuses: Mapping[str, OrderStatus]
    order_fields: tuple[str, ...]
    fill_fields: tuple[str, ...]
    weights: Mapping[str, int]
    weight_per_minute: int
    used_weight_header: str
    candles_per_page: int
    fills_per_page: int
    has_sandbox: bool
    key_advice: str
    rights_call: str


_KEY_ADVICE: Final = (
    "enable reading and spot trading, never withdrawals; restrict it to this box's address; "
    "give each box its own key of the same account"
)

_BAD_KEY: Final = f"the API key was refused; {_KEY_ADVICE}"

_UNMAPPED: Final = frozenset({"ExchangeError"})
_BAD_REQUEST: Final = frozenset({"BadRequest"})
_AUTHENTICATION: Final = frozenset({"AuthenticationError", "DDoSProtection", "PermissionDenied"})

# Texts with which Binance's matching engine refuses under -2010 and -1010, from its list
# "Messages for -1010, -2010 and -2011". "Duplicate order sent." is left out on purpose: it means
# that an order exists. Texts that only concern order kinds we never send are left out as well.
_ENGINE_REFUSALS: Final = frozenset(
    normal_text(text)
    for text in (
        "Market is closed.",
        "Account has insufficient balance for requested action.",
        "Market orders are not supported for this symbol.",
        "Price * QTY is zero or less.",
        "This action is disabled on this account.",
        "This account may not place or cancel orders.",
        "Unsupported order combination",
        "Order would immediately match and take.",
        "This symbol is not permitted for this account.",
        "This symbol is restricted for this account.",
        "Rest API trading is not enabled.",
        "Order book liquidity is less than `LOT_SIZE` filter minimum quantity.",
        "Order book liquidity is less than LOT_SIZE filter minimum quantity.",
        "Order book liquidity is less than symbol minimum quantity.",
    )
)
_ENGINE_ERRORS: Final = frozenset(
    {
        "AccountSuspended",
        "BadRequest",
        "InsufficientFunds",
        "InvalidOrder",
        "MarketClosed",
        "OrderImmediatelyFillable",
        "PermissionDenied",
    }
)

# Refused before the matching engine whatever was asked (Binance errors.md, 10xx and 11xx).
# -1000, -1001, -1006, -1007, -1008 and -1016 are left out on purpose: their effect is not proven.
_BINANCE_REFUSED_EARLY: Final[Mapping[str, Rejection]] = {
    "-1002": Rejection(errors=_AUTHENTICATION),
    "-1003": Rejection(errors=frozenset({"RateLimitExceeded", "DDoSProtection"})),
    "-1020": Rejection(errors=_BAD_REQUEST),
    "-1021": Rejection(errors=frozenset({"InvalidNonce"})),
    "-1022": Rejection(errors=_AUTHENTICATION),
    **{
        code: Rejection(errors=frozenset({"BadRequest", "BadSymbol"}))
        for code in (
            *("-1100", "-1101", "-1102", "-1103", "-1104", "-1105", "-1106", "-1108", "-1111"),
            *("-1114", "-1115", "-1116", "-1117", "-1118", "-1119", "-1121", "-1128", "-1130"),
            *("-1131", "-1134", "-1135", "-1145"),
        )
    },
    "-2008": Rejection(errors=_AUTHENTICATION),
    "-2014": Rejection(errors=_AUTHENTICATION),
    "-2015": Rejection(errors=_AUTHENTICATION),
}

BINANCE: Final = VenueRow(
    exchange_id="binance",
    market_kind="spot",
    # The spot documents publish no pattern; this is what its SDKs and its futures documents use.
    client_order_id_pattern=r"[A-Za-z0-9_-]{1,36}",
    # rest-api.md, "Timing security": checked at receipt and, since 2025-06, again just before the
    # message reaches the matching engine.
    deadline=DeadlineCheck.RECEIPT_AND_ENGINE,
    effect_tail_ms=0,
    recv_window_max_ms=60_000,
    options={
        "defaultType": "spot",
        "fetchMarkets": {"types": ["spot"]},
        "fetchCurrencies": False,
        "fetchMargins": False,
        "adjustForTimeDifference": False,
        "newOrderRespType": {"market": "FULL", "limit": "FULL"},
    },
    changing_gets=frozenset(),
    place_rejected={
        **_BINANCE_REFUSED_EARLY,
        "-1010": Rejection(errors=_ENGINE_ERRORS | _UNMAPPED, messages=_ENGINE_REFUSALS),
        # "The request is rejected by the API. (i.e. The request didn't reach the Matching
        # Engine.)": filters, and what ccxt's own text match turns into InvalidOrder.
        "-1013": Rejection(errors=frozenset({"BadRequest", "InvalidOrder", "MarketClosed"})),
        "-1014": Rejection(errors=frozenset({"InvalidOrder"})),
        "-1015": Rejection(errors=frozenset({"RateLimitExceeded", "DDoSProtection"})),
        "-2010": Rejection(errors=_ENGINE_ERRORS, messages=_ENGINE_REFUSALS),
    },
    cancel_rejected={
        **_BINANCE_REFUSED_EARLY,
        "-2011": Rejection(
            errors=frozenset({"OrderNotFound"}),
            messages=frozenset({normal_text("Unknown order sent.")}),
        ),
    },
    place_duplicates={"-2010": frozenset({normal_text("Duplicate order sent.")})},
    refused={
        "-1002": _BAD_KEY,
        "-1022": "the signature was refused: the API secret does not belong to the API key",
        "-2008": _BAD_KEY,
        "-2014": "the API key's format is invalid: it was cut or mistyped",
        "-2015": f"the API key, its address list or its rights were refused; {_KEY_ADVICE}",
        "-1121": "the venue has no such symbol; check the configured symbols",
    },
    unknown_order=frozenset({"-2013"}),
    quiet=frozenset({"-1003", "-1015"}),
    bad_time=frozenset({"-1021"}),
    # Legs of foreign order lists: they wait or are being withdrawn, and may still fill.
    more_statuses={"PENDING_NEW": OrderStatus.OPEN, "canceling": OrderStatus.OPEN},
    order_fields=(
        *("orderId", "clientOrderId", "symbol", "status", "side", "type"),
        *("origQty", "executedQty"),
    ),
    fill_fields=("id", "orderId", "symbol", "price", "qty", "commission", "time", "isBuyer"),
    weights={
        "markets": 20,
        "time": 1,
        "account": 20,
        "candles": 2,
        "ticker": 2,
        "open_orders": 6,
        "order": 4,
        "orders": 20,
        "fills": 20,
        "rights": 1,
        "place": 1,
        "cancel": 1,
    },
    weight_per_minute=6_000,
    used_weight_header="x-mbx-used-weight-1m",
    candles_per_page=1_000,
    fills_per_page=1_000,
    has_sandbox=True,
    key_advice=_KEY_ADVICE,
    rights_call="sapi_get_account_apirestrictions",
)

ROWS: Final[Mapping[str, VenueRow]] = {BINANCE.exchange_id: BINANCE}


def venue_row(exchange_id: str) -> VenueRow:
    """Return the row of one exchange.

    Raises:
        ConfigurationRefused: there is none; the message lists those that have one.
    """
    row = ROWS.get(exchange_id)
    if row is None:
        supported = ", ".join(sorted(ROWS))
        raise ConfigurationRefused(
            f"exchange {exchange_id!r} is not supported; supported are: {supported}"
        )
    return row


def market_id(symbol: str) -> str:
    """Return the venue's own name of a spot symbol, such as BTCUSDT for BTC/USDT.

    Needed before the markets are loaded, to ask for the configured ones only.
    """
    return symbol.replace("/", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueSettings:
    """How one node reaches one venue.

    Attributes:
        exchange_id: ccxt's id; must have a row.
        api_key, api_secret: never shown.
        symbols: unified names such as BTC/USDT; only these are loaded.
        base_url: scheme and host of a local exchange that speaks this venue's API, None for the
            real one.
        is_sandbox: the venue's own test network; not together with `base_url`.
        recv_window_ms: longest time that a write may be under way (R9). Below 700 nothing new
            could be placed; above 2000 a deposed node's request may be accepted that much later.
        read_budget_s: all attempts of one read together; must stay below the hang limit (5 s).
        read_timeout_s: one attempt.
        write_timeout_s: one write, connect included; at most 1 s, which the guard covers (R8).
    """

    exchange_id: str
    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)
    symbols: tuple[str, ...]
    base_url: str | None = None
    is_sandbox: bool = False
    recv_window_ms: int = 1_500
    read_budget_s: float = 4.0
    read_timeout_s: float = 1.8
    write_timeout_s: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot work, with the figure that is wrong."""
        row = venue_row(self.exchange_id)
        problems = [*self._url_problems(row), *self._time_problems(row)]
        if not self.symbols or len(set(self.symbols)) != len(self.symbols):
            problems.append("symbols must be given, each once")
        problems += [
            f"symbol {symbol!r} is not of the form BASE/QUOTE"
            for symbol in self.symbols
            if symbol.count("/") != 1 or not all(symbol.split("/")) or symbol != symbol.upper()
        ]
        if not self.api_key or not self.api_secret:
            problems.append("the API key and secret are missing")
        if problems:
            raise ConfigurationRefused(f"{self.exchange_id}: " + "; ".join(problems))

    def _url_problems(self, row: VenueRow) -> list[str]:
        problems: list[str] = []
        if self.is_sandbox and not row.has_sandbox:
            problems.append("it has no sandbox")
        if self.base_url is None:
            return problems
        if self.is_sandbox:
            problems.append("base_url and is_sandbox exclude each other")
        parts = urlsplit(self.base_url)
        is_plain = parts.path in {"", "/"} and not parts.query and not parts.fragment
        if parts.scheme not in {"http", "https"} or not parts.hostname or not is_plain:
            problems.append("base_url must be scheme://host:port and nothing more")
        elif parts.username is not None or parts.password is not None:
            problems.append("base_url must not carry a user or password")
        return problems

    def _time_problems(self, row: VenueRow) -> list[str]:
        problems: list[str] = []
        if not RECV_WINDOW_MIN_MS <= self.recv_window_ms <= row.recv_window_max_ms:
            problems.append(
                f"recv_window_ms {self.recv_window_ms} is not within "
                f"{RECV_WINDOW_MIN_MS}..{row.recv_window_max_ms}"
            )
        if not 0 < self.write_timeout_s <= WRITE_TIMEOUT_MAX_S:
            problems.append(f"write_timeout_s must be above 0 and at most {WRITE_TIMEOUT_MAX_S}")
        if not 0 < self.read_timeout_s <= self.read_budget_s < READ_BUDGET_LIMIT_S:
            problems.append(
                f"0 < read_timeout_s <= read_budget_s < {READ_BUDGET_LIMIT_S} must hold, was "
                f"{self.read_timeout_s} and {self.read_budget_s}"
            )
        return problems


# With less than this left only cancels are sent (R9): a placement would meet its own deadline.
RECV_WINDOW_MIN_MS: Final = 700
# The guard between the gate and the kernel fence covers this much (R8).
WRITE_TIMEOUT_MAX_S: Final = 1.0
# Every await of the work loop ends below the hang limit (R8).
READ_BUDGET_LIMIT_S: Final = 5.0

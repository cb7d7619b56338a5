"""Reads at one venue through strict ccxt: `CcxtVenue` satisfies `exchange.ports.Venue`.

Each read: weight limiter → bounded attempt → validation (answers.py) → retry within the budget
(retry.py). A read raises or returns a trusted answer; it never returns an empty one in place of
a failed one. Its ccxt instance refuses every request that changes something.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from math import inf
from typing import Any, Final, TypeVar

from exchange import answers
from exchange.ccxt_build import build_exchange, build_session, close_exchange
from exchange.ccxt_errors import is_unknown_order, quiet_of, read_failure
from exchange.ccxt_strict import CURRENT_CALL, CallRefused, ReadCall, evidence_of
from exchange.clock_offset import OffsetSample, VenueClock
from exchange.errors import (
    AnswerUntrusted,
    VenueError,
    VenueRateLimited,
    VenueRefused,
    VenueUnavailable,
)
from exchange.limiter import WeightLimiter
from exchange.model import Balance, Candle, ClientOrderId, Fill, MarketRules, Ticker, VenueOrder
from exchange.retry import RetryPolicy, RetryTools, read_with_retries
from exchange.venues import VenueSettings, market_id, venue_row

T = TypeVar("T")
Markets = tuple[Mapping[str, Any], ...]

# Reads that carry a time stamp and a signature.
SIGNED: Final = frozenset({"account", "open_orders", "order", "orders", "fills", "rights"})

RULES_AGE_S = 600.0  # filters change rarely; whoever was refused by one asks again
# Samples of one clock measurement: one may meet a busy network, three seldom do.
CLOCK_SAMPLES: Final = 3
# Pages of one call: 200 000 fills, or as many candles as a strategy may ever ask for.
PAGES_MAX: Final = 200
# aiohttp's own timeout comes first; this backstop covers what it does not count.
BACKSTOP_S: Final = 0.2


class CcxtVenue:
    """One node's reading side of one venue. Use from one event loop only."""

    def __init__(
        self,
        settings: VenueSettings,
        *,
        clock: VenueClock,
        limiter: WeightLimiter,
        tools: RetryTools,
        on_markets: Callable[[Markets], None],
    ) -> None:
        """Open nothing yet.

        Args:
            settings: where and as whom.
            clock: shared with the gateway; this side measures it.
            limiter: shared with the gateway, one for each address.
            tools: monotonic clock, sleep and the progress callback `on_step(label)`, which is
                told after every bounded call that answered or timed out.
            on_markets: given all loaded markets in ccxt's form whenever one was added.

        Raises:
            ConfigurationRefused: the venue cannot be used in this way.
        """
        self._settings = settings
        self._row = venue_row(settings.exchange_id)
        self._clock = clock
        self._limiter = limiter
        self._tools = tools
        self._on_markets = on_markets
        self._policy = RetryPolicy(
            budget_s=settings.read_budget_s, attempt_s=settings.read_timeout_s
        )
        self._session = build_session(settings)
        self._exchange: Any = build_exchange(
            settings,
            self._row,
            session=self._session,
            now_ms=self._signed_now_ms,
            on_headers=self._note_headers,
        )
        self._markets: dict[str, Mapping[str, Any]] = {}
        self._loaded_at_s: dict[str, float] = {}
        self._setup_lock = asyncio.Lock()

    async def load(self) -> None:
        """Load the configured markets and measure the clock; call it before READY.

        Raises:
            VenueUnavailable: no trusted answer within the budget.
            VenueRefused: a configured symbol does not exist there as a spot market.
        """
        await self._load_markets(self._settings.symbols)
        await self._ensure_clock()

    async def venue_now_ms(self) -> int:
        """Return the venue's time; measured first when it is not known."""
        await self._ensure_clock()
        return self._signed_now_ms()

    async def measure_clock(self) -> float:
        """Measure the clock offset anew; return its uncertainty in milliseconds."""
        for _ in range(CLOCK_SAMPLES):
            await self._read("time", self._sample_clock, shape=dict)
        estimate = self._clock.estimate()
        if estimate is None:
            raise VenueUnavailable("the venue's clock and this one do not agree with themselves")
        return estimate.error_ms

    async def account_id(self) -> str:
        """Return the account's id through a signed call."""
        return await self._signed("account", self._fetch_account, answers.parse_account_id)

    async def balances(self) -> Mapping[str, Balance]:
        """Return all non-zero balances of the account."""
        return await self._signed("account", self._fetch_account, answers.parse_balances)

    async def market_rules(self, symbol: str) -> MarketRules:
        """Return the filters of one symbol, at most ten minutes old."""
        await self._load_markets((symbol,), RULES_AGE_S)
        return answers.parse_market(self._markets[symbol], symbol=symbol)

    async def candles(self, symbol: str, timeframe: str, limit: int) -> tuple[Candle, ...]:
        """Return the newest closed candles, oldest first; fewer when the venue has fewer.

        The last row that the venue sends is the forming one and is left out, whatever its time
        says: only a later candle proves that one is closed.
        """
        if limit < 1:
            raise ValueError("at least one candle must be asked for")
        answers.timeframe_ms(timeframe)
        wanted = limit + 1
        found = await self._candle_page(symbol, timeframe, wanted, None)
        for _ in range(PAGES_MAX):
            if len(found) >= wanted or not found:
                break
            older = await self._candle_page(
                symbol, timeframe, wanted - len(found), found[0].open_ms - 1
            )
            if not older:
                break
            if older[-1].open_ms >= found[0].open_ms:
                raise AnswerUntrusted(f"{symbol} candles: an older page holds newer ones")
            found = (*older, *found)
        return found[:-1][-limit:]

    async def ticker(self, symbol: str) -> Ticker:
        """Return the best prices."""
        known = await self._market(symbol)

        async def attempt(_: ReadCall) -> Ticker:
            return answers.parse_ticker(await self._exchange.fetch_ticker(known), symbol=symbol)

        return await self._read("ticker", attempt, shape=dict)

    async def open_orders(self, symbol: str) -> tuple[VenueOrder, ...]:
        """Return all open orders of the account in the symbol."""
        known = await self._market(symbol)
        await self._ensure_clock()

        async def attempt(call: ReadCall) -> tuple[VenueOrder, ...]:
            rows = await self._exchange.fetch_open_orders(known)
            orders = answers.parse_rows(
                rows, call.row_count, lambda row: self._order(row, symbol), "open orders"
            )
            if any(order.status.is_final for order in orders):
                raise AnswerUntrusted(f"{symbol} open orders: one of them is not open")
            return orders

        return await self._read("open_orders", attempt, shape=list)

    async def order_by_client_id(
        self, symbol: str, client_order_id: ClientOrderId
    ) -> VenueOrder | None:
        """Look one order up; None means exactly: the venue says it knows no such order."""
        order = await self._order_by(symbol, None, {"clientOrderId": client_order_id})
        if order is not None and order.client_order_id != client_order_id:
            raise AnswerUntrusted(f"{symbol}: another order came back than was asked for")
        return order

    async def order_by_venue_id(self, symbol: str, venue_order_id: str) -> VenueOrder | None:
        """Look one order up by the venue's own id; None as above."""
        order = await self._order_by(symbol, venue_order_id, {})
        if order is not None and order.venue_order_id != venue_order_id:
            raise AnswerUntrusted(f"{symbol}: another order came back than was asked for")
        return order

    async def fills(self, symbol: str, after_fill_id: str | None) -> tuple[Fill, ...]:
        """Return the account's fills after the given one, oldest first, all pages.

        None asks for all fills that the venue keeps. Each page is a step of its own.
        """
        await self._ensure_clock()
        found: list[Fill] = []
        last = after_fill_id
        for _ in range(PAGES_MAX):
            page = await self._fill_page(symbol, last)
            found += page
            if len(page) < self._row.fills_per_page:
                return tuple(found)
            last = page[-1].fill_id
        raise VenueUnavailable(f"{symbol}: more than {len(found)} fills; ask from a later one")

    async def close(self) -> None:
        """Close connections."""
        await close_exchange(self._exchange, self._session)

    # --- single pages and look-ups -----------------------------------------------------------

    async def _fetch_account(self) -> Any:
        return await self._exchange.fetch_balance({"omitZeroBalances": "true"})

    async def _candle_page(
        self, symbol: str, timeframe: str, limit: int, until_ms: int | None
    ) -> tuple[Candle, ...]:
        known = await self._market(symbol)
        count = min(limit, self._row.candles_per_page)
        extra = {} if until_ms is None else {"endTime": until_ms}

        async def attempt(call: ReadCall) -> tuple[Candle, ...]:
            rows = await self._exchange.fetch_ohlcv(known, timeframe, None, count, extra)
            if rows == [] and call.row_count == 0 and until_ms is not None:
                return ()  # nothing older; the newest page has at least the forming one
            if len(rows) != call.row_count:
                raise AnswerUntrusted(f"{symbol} candles: rows were lost in parsing")
            return answers.parse_candles(rows, timeframe=timeframe)

        return await self._read("candles", attempt, shape=list)

    async def _fill_page(self, symbol: str, after: str | None) -> tuple[Fill, ...]:
        known = await self._market(symbol)
        from_id = 0 if after is None else int(after) + 1

        async def attempt(call: ReadCall) -> tuple[Fill, ...]:
            rows = await self._exchange.fetch_my_trades(
                known, None, self._row.fills_per_page, {"fromId": from_id}
            )
            fields = self._row.fill_fields
            parse = partial(answers.parse_fill, symbol=symbol, required=fields)
            fills = answers.parse_rows(rows, call.row_count, parse, "fills")
            return answers.check_fills(fills, after)

        return await self._read("fills", attempt, shape=list)

    async def _order_by(
        self, symbol: str, venue_order_id: str | None, params: Mapping[str, str]
    ) -> VenueOrder | None:
        known = await self._market(symbol)
        await self._ensure_clock()

        async def attempt(_: ReadCall) -> VenueOrder | None:
            try:
                found = await self._exchange.fetch_order(venue_order_id, known, dict(params))
            except Exception as error:  # ccxt's classes are known by name only (ccxt_import.py)
                if is_unknown_order(error, self._row):
                    return None
                raise
            return self._order(found, symbol)

        return await self._read("order", attempt, shape=dict)

    def _order(self, row: Any, symbol: str) -> VenueOrder:
        return answers.parse_order(
            row,
            symbol=symbol,
            required=self._row.order_fields,
            more_statuses=self._row.more_statuses,
        )

    # --- set-up ------------------------------------------------------------------------------

    async def _market(self, symbol: str) -> str:
        """Load one market if needed; the journal may know symbols that are configured no more."""
        await self._load_markets(self._settings.symbols)
        await self._load_markets((symbol,))
        return symbol

    def _markets_age_s(self, symbols: tuple[str, ...]) -> float:
        return self._tools.monotonic_s() - min(self._loaded_at_s.get(s, -inf) for s in symbols)

    async def _load_markets(self, symbols: tuple[str, ...], age_s_max: float = inf) -> None:
        if self._markets_age_s(symbols) < age_s_max:
            return
        async with self._setup_lock:
            if self._markets_age_s(symbols) >= age_s_max:
                fetch = partial(self._fetch_markets, symbols)
                await self._read("markets", fetch, shape=dict)

    async def _fetch_markets(self, symbols: tuple[str, ...], _: ReadCall) -> None:
        # Not load_markets(): that is one task shared by all callers, and cancelling one of them
        # cancels every other.
        ids = [market_id(symbol) for symbol in symbols]
        only: dict[str, str] = {"symbol": ids[0]}
        if len(ids) > 1:
            only = {"symbols": "[" + ",".join(f'"{name}"' for name in ids) + "]"}
        markets = await self._exchange.fetch_markets(only)
        if not isinstance(markets, list):
            raise AnswerUntrusted("markets: a list was due")
        by_symbol = {m.get("symbol"): m for m in markets if m.get(self._row.market_kind)}
        for symbol in symbols:
            if symbol not in by_symbol:
                raise VenueRefused(
                    f"{self._row.exchange_id} has no {self._row.market_kind} market {symbol}; "
                    "check the configured symbols",
                    code=None,
                )
            answers.parse_market(by_symbol[symbol], symbol=symbol)
        self._markets |= {symbol: by_symbol[symbol] for symbol in symbols}
        self._loaded_at_s |= dict.fromkeys(symbols, self._tools.monotonic_s())
        loaded = tuple(self._markets.values())
        self._exchange.set_markets(list(loaded))
        self._on_markets(loaded)

    async def _ensure_clock(self) -> None:
        if self._clock.estimate() is None:
            await self.measure_clock()

    async def _sample_clock(self, _: ReadCall) -> None:
        sent = self._clock.local()
        venue_ms = await self._exchange.fetch_time()
        received = self._clock.local()
        checked_ms = answers.parse_time_ms(venue_ms, "the venue's time")
        self._clock.add(OffsetSample(sent=sent, received=received, venue_ms=checked_ms))

    def _signed_now_ms(self) -> int:
        now_ms = self._clock.now_ms()
        if now_ms is None:
            raise VenueUnavailable("the venue's time is not known")
        return now_ms

    # --- one attempt -------------------------------------------------------------------------

    async def _signed(
        self, label: str, fetch: Callable[[], Awaitable[Any]], parse: Callable[[Any], T]
    ) -> T:
        await self._load_markets(self._settings.symbols)
        await self._ensure_clock()

        async def attempt(_: ReadCall) -> T:
            return parse(await fetch())

        return await self._read(label, attempt, shape=dict)

    async def _read(
        self, label: str, attempt: Callable[[ReadCall], Awaitable[T]], *, shape: type
    ) -> T:
        async def once(timeout_s: float) -> T:
            if label in SIGNED and self._clock.estimate() is None:
                # An earlier attempt was refused for its time; a stale stamp would be again.
                await self._attempt("time", self._sample_clock, dict, timeout_s)
                self._tools.on_step("time")
            return await self._attempt(label, attempt, shape, timeout_s)

        return await read_with_retries(once, label=label, policy=self._policy, tools=self._tools)

    async def _attempt(
        self,
        label: str,
        attempt: Callable[[ReadCall], Awaitable[T]],
        shape: type,
        timeout_s: float,
    ) -> T:
        wait_s = await self._limiter.acquire(self._row.weights[label], wait_s_max=timeout_s / 2)
        if wait_s > 0:
            raise VenueRateLimited(
                f"{self._row.exchange_id} {label}: no weight free for {wait_s:.1f} s",
                retry_after_s=wait_s,
                is_ban=False,
            )
        call = ReadCall(timeout_s=timeout_s, shape=shape)
        token = CURRENT_CALL.set(call)
        try:
            async with asyncio.timeout(timeout_s + BACKSTOP_S):
                return await attempt(call)
        except (VenueError, CallRefused):
            raise
        except Exception as error:  # noqa: BLE001  every failure of ccxt becomes one of ours
            self._note_failure(error)
            raise read_failure(error, self._row, label) from None
        finally:
            CURRENT_CALL.reset(token)

    def _note_failure(self, error: Exception) -> None:
        quiet = quiet_of(error, self._row)
        if quiet is not None:
            self._limiter.hold(quiet[0])
        evidence = evidence_of(error)
        if evidence is not None and evidence.code in self._row.bad_time:
            self._clock.invalidate()

    def _note_headers(self, _: int, headers: Mapping[str, str]) -> None:
        used = headers.get(self._row.used_weight_header, "")
        if used.isdecimal():
            self._limiter.observe_used(int(used))

"""One simulated node's link to the simulated venue: reads that retry as the real ones do."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from exchange.clock_offset import LocalInstant, OffsetSample, VenueClock
from exchange.errors import VenueRateLimited, VenueUnavailable
from exchange.model import (
    Balance,
    Candle,
    ClientOrderId,
    Fill,
    MarketRules,
    Ticker,
    VenueOrder,
    VenueOrderId,
)
from exchange.ports import Permit
from exchange.positions import fill_number
from exchange.retry import RetryPolicy, RetryTools, read_with_retries
from node.sim.asking import NoAnswer, request
from node.sim.gateway import SimGateway, Windows
from node.sim.market import SimExchange
from node.sim.network import Wire
from node.sim.process import SimProcess

T = TypeVar("T")
CLOCK_SAMPLES = 3
HALF_SPREAD_DIVISOR = 2000
LIMITED_S = 3.0


class SimVenue:
    """`exchange.ports.Venue`."""

    def __init__(
        self,
        process: SimProcess,
        exchange: SimExchange,
        *,
        wire: Wire,
        clock: VenueClock,
        windows: Windows,
        on_step: Callable[[str], None],
    ) -> None:
        """Link a process to the exchange."""
        self._process, self._exchange, self._wire = process, exchange, wire
        self._clock, self._windows = clock, windows
        self._policy = RetryPolicy(budget_s=windows.read_budget_s, attempt_s=windows.read_timeout_s)
        rng = process.world.rng
        self._tools = RetryTools(
            monotonic_s=process.box.clock.monotonic_s,
            on_step=on_step,
            jitter=lambda wait_s: rng.uniform(0, wait_s),
        )

    async def _read(self, label: str, effect: Callable[[], T]) -> T:
        async def attempt(timeout_s: float) -> T:
            world, exchange = self._process.world, self._exchange
            try:
                answer = await request(self._process, self._wire, exchange, effect, timeout_s)
            except NoAnswer as error:
                raise VenueUnavailable(f"{label}: {error}") from None
            if world.now < exchange.limited_until_s:
                raise VenueRateLimited(
                    f"{label}: too many requests", retry_after_s=LIMITED_S, is_ban=False
                )
            return answer

        return await read_with_retries(attempt, label=label, policy=self._policy, tools=self._tools)

    async def venue_now_ms(self) -> int:
        """Return the venue's time, never ahead of it; measured first when it is not known."""
        await self._ensure_clock()
        now_ms = self._clock.now_ms()
        if now_ms is None:
            raise VenueUnavailable("the venue's time is not known")
        return now_ms

    async def measure_clock(self) -> float:
        """Measure the clock offset anew; return its uncertainty in milliseconds."""
        for _ in range(CLOCK_SAMPLES):
            await self._sample()
        estimate = self._clock.estimate()
        if estimate is None:
            raise VenueUnavailable("the venue's clock and this one do not agree with themselves")
        return estimate.error_ms

    async def _sample(self) -> None:
        exchange = self._exchange
        sents: list[LocalInstant] = []

        def effect() -> int:
            return exchange.now_ms

        async def attempt(timeout_s: float) -> None:
            sent = self._clock.local()
            sents.append(sent)
            try:
                venue_ms = await request(self._process, self._wire, exchange, effect, timeout_s)
            except NoAnswer as error:
                raise VenueUnavailable(f"time: {error}") from None
            self._clock.add(
                OffsetSample(sent=sent, received=self._clock.local(), venue_ms=venue_ms)
            )

        await read_with_retries(attempt, label="time", policy=self._policy, tools=self._tools)

    async def _ensure_clock(self) -> None:
        if self._clock.estimate() is None:
            await self.measure_clock()

    async def account_id(self) -> str:
        """Return the account's id through a signed call."""
        await self._ensure_clock()
        return await self._read("account", lambda: "4711")

    async def market_rules(self, symbol: str) -> MarketRules:
        """Return the filters of one symbol, loaded before."""
        return self._exchange.rules(symbol)

    async def candles(self, symbol: str, timeframe: str, limit: int) -> tuple[Candle, ...]:
        """Return the newest closed candles."""
        del symbol, timeframe
        return await self._read("candles", lambda: tuple(self._exchange.candles[-limit:]))

    async def ticker(self, symbol: str) -> Ticker:
        """Return prices around the present one."""

        def effect() -> Ticker:
            price = self._exchange.prices[symbol]
            half = price / HALF_SPREAD_DIVISOR
            return Ticker(
                symbol=symbol,
                bid=price - half,
                ask=price + half,
                last=price,
                venue_ms=self._exchange.now_ms,
            )

        return await self._read("ticker", effect)

    async def open_orders(self, symbol: str) -> tuple[VenueOrder, ...]:
        """Return all open orders of the account in the symbol."""
        await self._ensure_clock()
        exchange = self._exchange
        return await self._read("open_orders", lambda: exchange.shown(exchange.open_orders(symbol)))

    async def order_by_client_id(
        self, symbol: str, client_order_id: ClientOrderId
    ) -> VenueOrder | None:
        """Look one order up."""
        del symbol
        await self._ensure_clock()
        return await self._read("order", lambda: self._exchange.order_of(client_order_id))

    async def order_by_venue_id(self, symbol: str, venue_order_id: str) -> VenueOrder | None:
        """Look one order up by the venue's own id."""
        del symbol
        await self._ensure_clock()
        number = VenueOrderId(venue_order_id)
        return await self._read("order", lambda: self._exchange.orders.get(number))

    async def fills(self, symbol: str, after_fill_id: str | None) -> tuple[Fill, ...]:
        """Return the account's fills after the given one."""
        del symbol
        await self._ensure_clock()
        after = 0 if after_fill_id is None else fill_number(after_fill_id)
        return await self._read("fills", lambda: self._exchange.fills_after(after))

    async def balances(self) -> Mapping[str, Balance]:
        """Return all balances."""
        await self._ensure_clock()
        return await self._read("account", self._exchange.totals)

    async def close(self) -> None:
        """Close nothing."""


class SimLink:
    """`node.edges.Link`."""

    effect_tail_ms = 0

    def __init__(
        self,
        process: SimProcess,
        exchange: SimExchange,
        *,
        wire: Wire,
        windows: Windows,
        permit: Permit,
        on_step: Callable[[str], None],
    ) -> None:
        """Build both sides; nothing is asked yet."""
        box_clock = process.box.clock

        def local() -> LocalInstant:
            boot_s, raw_s, _ = box_clock.read()
            return LocalInstant(boot_s=boot_s, raw_s=raw_s)

        self.clock = VenueClock(local)
        self.venue = SimVenue(
            process, exchange, wire=wire, clock=self.clock, windows=windows, on_step=on_step
        )
        self.gateway = SimGateway(
            process, exchange, wire=wire, clock=self.clock, windows=windows, permit=permit
        )

    async def load(self) -> None:
        """Load markets and measure the clock."""
        await self.venue.measure_clock()
        self.gateway.is_loaded = await self.gateway.warm() or True

    async def close(self) -> None:
        """Nothing is kept open."""

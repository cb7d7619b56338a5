"""One simulated node's link to the simulated venue: reads, and writes through the last hop.

Rules of this file: reads retry as the real ones do (exchange/retry.py); a write is fenced by the
production `WriteTicket` and `Stamp`: the permit is asked at the very moment the request leaves,
and what the venue accepts was stamped within it.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from exchange.ccxt_strict import CallRefused
from exchange.ccxt_ticket import Stamp, WriteTicket, make_stamp
from exchange.clock_offset import LocalInstant, OffsetSample, VenueClock
from exchange.errors import VenueRateLimited, VenueUnavailable
from exchange.model import (
    Balance,
    Candle,
    ClientOrderId,
    Fill,
    MarketRules,
    OrderIntent,
    Ticker,
    VenueOrder,
    VenueOrderId,
    WriteOutcome,
    WriteResult,
)
from exchange.ports import Permit
from exchange.positions import fill_number
from exchange.retry import RetryPolicy, RetryTools, read_with_retries
from exchange.venues import RECV_WINDOW_MIN_MS
from node.sim.market import SYMBOL, SimExchange
from node.sim.network import Wire
from node.sim.process import SimProcess

T = TypeVar("T")
CANCEL_WINDOW_MIN_MS = 100
CLOCK_SAMPLES = 3
HALF_SPREAD_DIVISOR = 2000
LIMITED_S = 3.0


class NoAnswer(Exception):  # noqa: N818  (says what happened)
    """The request or its answer was lost, or the venue answers with an error page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Times of the configuration."""

    read_budget_s: float
    read_timeout_s: float
    write_timeout_s: float
    recv_window_ms: int


async def request(
    process: SimProcess,
    wire: Wire,
    exchange: SimExchange,
    effect: Callable[[], T],
    timeout_s: float,
    *,
    is_write: bool = False,
) -> T:
    """Send one request; it acts at its arrival, whatever has become of its sender.

    Raises:
        NoAnswer: nothing usable came back in time.
    """
    world = process.world
    future: asyncio.Future[T] = process.loop.create_future()
    deadline_s = world.now + timeout_s
    there_s, back_s = wire.delays()
    there_s = None if there_s is None else there_s + 0.02 * world.rng.random()

    def end(value: T | None, problem: str) -> None:
        if future.done():
            return
        if problem:
            future.set_exception(NoAnswer(problem))
        else:
            future.set_result(value)  # type: ignore[arg-type]  # no problem: a value

    def end_at(at_s: float, value: T | None, problem: str) -> None:
        world.at(at_s, lambda: process.run(lambda: end(value, problem)))

    def arrive() -> None:
        value: T | None = None
        problem = ""
        # A venue in trouble answers with an error page, having done what was asked or not.
        if world.now < exchange.maintenance_until_s:
            problem = "503 from the venue"
            if is_write and world.rng.random() < 0.3:  # noqa: PLR2004
                effect()
        else:
            exchange.tick()
            value = effect()
        if world.now > deadline_s:
            return
        heard_s = deadline_s if back_s is None else world.now + back_s
        if back_s is None or heard_s > deadline_s:
            end_at(deadline_s, None, "no answer in time")
        else:
            end_at(heard_s, value, problem)

    if there_s is None or there_s > timeout_s:
        end_at(deadline_s, None, "no answer in time")
    if there_s is not None:
        world.after(there_s, arrive)
    return await future


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
        self._policy = RetryPolicy(
            budget_s=windows.read_budget_s, attempt_s=windows.read_timeout_s
        )
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
                venue_ms = await request(
                    self._process, self._wire, exchange, effect, timeout_s
                )
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
        return await self._read(
            "open_orders", lambda: exchange.shown(exchange.open_orders(symbol))
        )

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


class SimGateway:
    """`exchange.ports.WarmGateway`."""

    def __init__(
        self,
        process: SimProcess,
        exchange: SimExchange,
        *,
        wire: Wire,
        clock: VenueClock,
        windows: Windows,
        permit: Permit,
    ) -> None:
        """Link a process to the exchange, behind its permit."""
        self._process, self._exchange, self._wire = process, exchange, wire
        self._clock, self._windows, self._permit = clock, windows, permit
        self.is_loaded = False

    async def warm(self) -> bool:
        """Ask for the time."""
        try:
            await request(
                self._process, self._wire, self._exchange, lambda: None,
                self._windows.read_timeout_s,
            )
        except NoAnswer:
            return False
        return True

    async def place(self, intent: OrderIntent) -> WriteResult:
        """Send one order."""
        stamp = self._stamp(RECV_WINDOW_MIN_MS, intent.epoch, not_after_ms=intent.deadline_venue_ms)
        if isinstance(stamp, str):
            return WriteResult(outcome=WriteOutcome.NOT_SENT, reason=stamp)
        name = self._process.name

        def effect() -> VenueOrder | str:
            return self._exchange.place(intent, stamp, name)

        answer = await self._send(effect, epoch=intent.epoch)
        if isinstance(answer, WriteResult):
            return self._dated(answer, stamp)
        if isinstance(answer, VenueOrder):
            result = WriteResult(outcome=WriteOutcome.CONFIRMED, reason="placed", order=answer)
            return self._dated(result, stamp)
        return self._dated(self._refused(answer), stamp)

    async def cancel(
        self, symbol: str, client_order_id: ClientOrderId, *, epoch: int
    ) -> WriteResult:
        """Cancel one order."""
        del symbol
        stamp = self._stamp(CANCEL_WINDOW_MIN_MS, epoch, not_after_ms=None)
        if isinstance(stamp, str):
            return WriteResult(outcome=WriteOutcome.NOT_SENT, reason=stamp)
        answer = await self._send(
            lambda: self._exchange.cancel(client_order_id, stamp), epoch=epoch
        )
        if isinstance(answer, WriteResult):
            return self._dated(answer, stamp)
        if not answer:
            return WriteResult(outcome=WriteOutcome.CONFIRMED, reason="cancelled")
        return self._dated(self._refused(answer), stamp)

    def _refused(self, code: str) -> WriteResult:
        if code == "-1021":
            self._clock.invalidate()
        if code.startswith("-2010"):  # an order of that id exists: nothing is proven
            return WriteResult(outcome=WriteOutcome.UNKNOWN, reason=code, code="-2010")
        return WriteResult(outcome=WriteOutcome.REJECTED, reason=code, code=code)

    def _dated(self, result: WriteResult, stamp: Stamp) -> WriteResult:
        if result.outcome is WriteOutcome.NOT_SENT:
            return result
        return replace(result, deadline_venue_ms=stamp.deadline_ms)

    def _stamp(self, window_min_ms: int, epoch: int, *, not_after_ms: int | None) -> Stamp | str:
        if not self.is_loaded:
            return "the markets are not loaded yet"
        if epoch != self._permit.epoch:
            return f"the order is of epoch {epoch}, the permit of {self._permit.epoch}"
        known = self._clock.estimate()
        if known is None:
            return "the venue's time is not known; measure the clock first"
        return make_stamp(
            known,
            permit_left_s=self._permit.remaining_s(),
            recv_window_ms=self._windows.recv_window_ms,
            window_min_ms=window_min_ms,
            not_after_ms=not_after_ms,
        )

    async def _send(self, effect: Callable[[], T], *, epoch: int) -> T | WriteResult:
        """Let the request out if the permit says so; a result says that nobody knows."""
        process = self._process
        ticket = WriteTicket(
            permit=self._permit, epoch=epoch, timeout_s=self._windows.write_timeout_s
        )
        try:
            # Throttling, signing and a busy loop lie between the stamp and the last hop.
            await asyncio.sleep(process.world.rng.uniform(0, 0.004))
            timeout_s = ticket.enter(is_change=True)
            process.box.note_send(process, epoch)
            return await request(
                process, self._wire, self._exchange, effect, timeout_s, is_write=True
            )
        except CallRefused as error:
            return WriteResult(outcome=WriteOutcome.NOT_SENT, reason=str(error))
        except NoAnswer as error:
            return WriteResult(outcome=WriteOutcome.UNKNOWN, reason=str(error))
        finally:
            ticket.close()


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


__all__ = ["SYMBOL", "SimGateway", "SimLink", "SimVenue", "Windows"]

"""Writes at one venue through strict ccxt: `CcxtGateway` satisfies `exchange.ports.Gateway`.

One call, one ticket (ccxt_ticket.py), at most one request: this file has no loop and no retry,
and its ccxt instance has none either.

Outcomes are decided in ccxt_errors.py (failures) and here (answers that look good but are not
about our order).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from exchange import answers
from exchange.ccxt_build import build_exchange, build_session, close_exchange
from exchange.ccxt_errors import cancel_failure, place_failure, quiet_of
from exchange.ccxt_session import SessionClosed
from exchange.ccxt_strict import CURRENT_CALL, CallRefused, ReadCall, evidence_of
from exchange.ccxt_ticket import Stamp, WriteTicket, make_stamp
from exchange.clock_offset import VenueClock
from exchange.errors import AnswerUntrusted
from exchange.limiter import WeightLimiter
from exchange.model import (
    ClientOrderId,
    OrderIntent,
    OrderType,
    TimeInForce,
    VenueOrder,
    WriteOutcome,
    WriteResult,
)
from exchange.ports import Permit
from exchange.venues import RECV_WINDOW_MIN_MS, VenueSettings, market_id, venue_row

# A cancel with less than this left cannot reach a venue in time.
CANCEL_WINDOW_MIN_MS: Final = 100
LateOutcome = Callable[[ClientOrderId, WriteResult], None]


class CcxtGateway:
    """One node's writing side of one venue. Use from one event loop only."""

    def __init__(
        self,
        settings: VenueSettings,
        *,
        permit: Permit,
        clock: VenueClock,
        limiter: WeightLimiter,
        monotonic_s: Callable[[], float],
        on_late_outcome: LateOutcome,
    ) -> None:
        """Open nothing yet.

        Args:
            settings: where and as whom.
            permit: asked in the last hop of every request.
            clock: shared with the reader, which measures it.
            limiter: shared with the reader; asked whether the venue wants quiet.
            monotonic_s: for latencies.
            on_late_outcome: told the outcome of a write whose caller was cancelled meanwhile.

        Raises:
            ConfigurationRefused: the venue cannot be used in this way.
        """
        self._settings = settings
        self._row = venue_row(settings.exchange_id)
        self._permit = permit
        self._clock = clock
        self._limiter = limiter
        self._monotonic_s = monotonic_s
        self._on_late_outcome = on_late_outcome
        self._in_flight: set[asyncio.Task[WriteResult]] = set()
        self._session = build_session(settings)
        self._exchange: Any = build_exchange(
            settings,
            self._row,
            session=self._session,
            now_ms=self._never_valid_ms,
            on_headers=self._note_headers,
        )
        self._is_loaded = False

    def use_markets(self, markets: tuple[Mapping[str, Any], ...]) -> None:
        """Take the markets that the reader loaded; before that every write is NOT_SENT.

        Orders are placed in configured symbols only; others may be cancelled.
        """
        self._exchange.set_markets([dict(market) for market in markets])
        self._is_loaded = True

    async def warm(self) -> bool:
        """Open a connection by asking for the time, so that the next write need not.

        Returns:
            Whether it stands; nothing is lost if not, the next write then connects itself.
        """
        token = CURRENT_CALL.set(ReadCall(timeout_s=self._settings.read_timeout_s))
        try:
            await self._exchange.fetch_time()
        except (self._exchange.errors.BaseError, CallRefused, SessionClosed):
            return False
        finally:
            CURRENT_CALL.reset(token)
        return True

    async def place(self, intent: OrderIntent) -> WriteResult:
        """Send one order."""
        problem = self._placement_problem(intent)
        if problem is not None:
            return _not_sent(problem)
        stamp = self._stamp(RECV_WINDOW_MIN_MS, not_after_ms=intent.deadline_venue_ms)
        if isinstance(stamp, WriteResult):
            return stamp

        async def send() -> WriteResult:
            answer = await self._exchange.create_order(
                intent.symbol,
                intent.type.value,
                intent.side.value,
                _digits(intent.amount),
                None if intent.price is None else _digits(intent.price),
                {**_order_params(intent), **stamp.params()},
            )
            return _placed(self._parse_placed(answer, intent))

        return await self._run(
            send, place_failure, stamp, epoch=intent.epoch, client_order_id=intent.client_order_id
        )

    async def cancel(
        self, symbol: str, client_order_id: ClientOrderId, *, epoch: int
    ) -> WriteResult:
        """Cancel one order; REJECTED when the venue knows no open order of that id."""
        problem = self._common_problem(symbol, epoch)
        if problem is not None:
            return _not_sent(problem)
        stamp = self._stamp(CANCEL_WINDOW_MIN_MS, not_after_ms=None)
        if isinstance(stamp, WriteResult):
            return stamp

        async def send() -> WriteResult:
            answer = await self._exchange.cancel_order(
                None, symbol, {"clientOrderId": client_order_id, **stamp.params()}
            )
            return _cancelled(answer, symbol, client_order_id)

        return await self._run(
            send, cancel_failure, stamp, epoch=epoch, client_order_id=client_order_id
        )

    async def close(self) -> None:
        """Wait for requests under way (each ends within its own timeout), then disconnect."""
        if self._in_flight:
            await asyncio.wait(set(self._in_flight))
        await close_exchange(self._exchange, self._session)

    # --- before anything leaves --------------------------------------------------------------

    def _common_problem(self, symbol: str, epoch: int) -> str | None:
        if not self._is_loaded:
            return "the markets are not loaded yet"
        if symbol not in self._exchange.markets:
            return f"the market {symbol} is not loaded"
        if epoch != self._permit.epoch:
            return f"the order is of epoch {epoch}, the permit of {self._permit.epoch}"
        quiet_s = self._limiter.quiet_s()
        if quiet_s > 0:
            return f"the venue wants no request for another {quiet_s:.0f} s"
        return None

    def _placement_problem(self, intent: OrderIntent) -> str | None:
        common = self._common_problem(intent.symbol, intent.epoch)
        if common is not None:
            return common
        if intent.symbol not in self._settings.symbols:
            return f"{intent.symbol} is not among the configured symbols"
        # ccxt would cut or round silently; the journal would then hold another order.
        sent_amount = self._rounded("amount_to_precision", intent.symbol, intent.amount)
        if sent_amount != intent.amount:
            return f"amount {intent.amount} is not a multiple of the market's step"
        if intent.price is not None:
            sent_price = self._rounded("price_to_precision", intent.symbol, intent.price)
            if sent_price != intent.price:
                return f"price {intent.price} is not a multiple of the market's step"
        return None

    def _rounded(self, rounding: str, symbol: str, value: Decimal) -> Decimal | None:
        try:
            return Decimal(getattr(self._exchange, rounding)(symbol, _digits(value)))
        except self._exchange.errors.BaseError:
            return None  # it rounds to nothing

    def _stamp(self, window_min_ms: int, *, not_after_ms: int | None) -> Stamp | WriteResult:
        known = self._clock.estimate()
        if known is None:
            return _not_sent("the venue's time is not known; measure the clock first")
        stamp = make_stamp(
            known,
            permit_left_s=self._permit.remaining_s(),
            recv_window_ms=self._settings.recv_window_ms,
            window_min_ms=window_min_ms,
            not_after_ms=not_after_ms,
        )
        return _not_sent(stamp) if isinstance(stamp, str) else stamp

    def _never_valid_ms(self) -> int:
        """Time that ccxt would stamp by itself: were ours lost, the venue would refuse this one."""
        return 0

    # --- one write ---------------------------------------------------------------------------

    async def _run(
        self,
        send: Callable[[], Awaitable[WriteResult]],
        judge: Callable[..., WriteResult],
        stamp: Stamp,
        *,
        epoch: int,
        client_order_id: ClientOrderId,
    ) -> WriteResult:
        ticket = WriteTicket(
            permit=self._permit, epoch=epoch, timeout_s=self._settings.write_timeout_s
        )
        task = asyncio.create_task(self._send(send, judge, stamp, ticket))
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            # Our caller gave up. The request may be at the venue: its outcome is still told, and
            # we stay until it ends, which its own timeout bounds.
            task.add_done_callback(
                lambda done: self._tell_late(done, client_order_id, stamp, ticket)
            )
            await asyncio.wait({task})
            raise

    async def _send(
        self,
        send: Callable[[], Awaitable[WriteResult]],
        judge: Callable[..., WriteResult],
        stamp: Stamp,
        ticket: WriteTicket,
    ) -> WriteResult:
        CURRENT_CALL.set(ticket)  # this task's own context; nothing to restore
        started_s = self._monotonic_s()
        result: WriteResult | None = None
        try:
            result = await send()
        except asyncio.CancelledError:
            result = _cut_off(ticket)
        except Exception as error:  # noqa: BLE001  every failure has a named outcome
            self._note_failure(error)
            result = judge(error, self._row, is_sent=ticket.is_spent)
        finally:
            is_proven = result is not None and result.outcome is not WriteOutcome.UNKNOWN
            ticket.close(lingers_s=0.0 if is_proven else self._lingers_s(stamp))
        latency_ms = int((self._monotonic_s() - started_s) * 1000)
        return _dated(result, stamp, latency_ms=latency_ms)

    def _lingers_s(self, stamp: Stamp) -> float:
        """Return how long a request without an answer may still take effect (R10).

        Giving up here stops nothing: its bytes, or the venue's queue, may have it.
        """
        known = self._clock.estimate()
        # Without the venue's time none of the window is known to be over.
        now_ms = stamp.timestamp_ms if known is None else known.earliest_ms
        left_ms = min(max(0.0, stamp.deadline_ms - now_ms), float(stamp.window_ms))
        return (left_ms + self._row.effect_tail_ms) / 1000

    def _tell_late(
        self,
        done: asyncio.Task[WriteResult],
        client_order_id: ClientOrderId,
        stamp: Stamp,
        ticket: WriteTicket,
    ) -> None:
        if done.cancelled():  # before its first line, so that `_send` could not say it
            result = _dated(_cut_off(ticket), stamp, latency_ms=None)
        else:
            result = done.result()
        self._on_late_outcome(client_order_id, result)

    def _parse_placed(self, answer: Any, intent: OrderIntent) -> VenueOrder:
        order = answers.parse_order(
            answer,
            symbol=intent.symbol,
            required=self._row.order_fields,
            more_statuses=self._row.more_statuses,
        )
        wanted = (intent.client_order_id, intent.side, intent.type, intent.amount, intent.price)
        was = (order.client_order_id, order.side, order.type, order.amount, order.price)
        if was != wanted:
            raise AnswerUntrusted("the answer is about another order than the one sent")
        return order

    def _note_failure(self, error: Exception) -> None:
        quiet = quiet_of(error, self._row)
        if quiet is not None:
            self._limiter.hold(quiet[0])
        evidence = evidence_of(error)
        if evidence is not None and evidence.code in self._row.bad_time:
            self._clock.invalidate()

    def _note_headers(self, _: int, headers: Mapping[str, str]) -> None:
        self._limiter.charge(self._row.weights["place"])
        used = headers.get(self._row.used_weight_header, "")
        if used.isdecimal():
            self._limiter.observe_used(int(used))


def _digits(value: Decimal) -> str:
    """Return all digits of a number without an exponent."""
    return format(value, "f")


def _order_params(intent: OrderIntent) -> dict[str, object]:
    params: dict[str, object] = {"clientOrderId": intent.client_order_id}
    if intent.type is OrderType.MARKET:
        return params
    if intent.time_in_force is TimeInForce.POST_ONLY:
        return {**params, "postOnly": True}
    return {**params, "timeInForce": intent.time_in_force.value}


def _not_sent(reason: str) -> WriteResult:
    return WriteResult(outcome=WriteOutcome.NOT_SENT, reason=reason)


def _cut_off(ticket: WriteTicket) -> WriteResult:
    outcome = WriteOutcome.UNKNOWN if ticket.is_spent else WriteOutcome.NOT_SENT
    return WriteResult(outcome=outcome, reason="cut off while it was under way")


def _dated(result: WriteResult, stamp: Stamp, *, latency_ms: int | None) -> WriteResult:
    if result.outcome is WriteOutcome.NOT_SENT:
        return result
    return replace(result, deadline_venue_ms=stamp.deadline_ms, latency_ms=latency_ms)


def _placed(order: VenueOrder) -> WriteResult:
    return WriteResult(
        outcome=WriteOutcome.CONFIRMED, reason=f"placed, {order.status.value}", order=order
    )


def _cancelled(answer: Any, symbol: str, client_order_id: ClientOrderId) -> WriteResult:
    # The venue answers with the cancel's own client id; ours stands in `origClientOrderId`.
    raw = answer.get("info") if isinstance(answer, Mapping) else None
    is_ours = (
        isinstance(raw, Mapping)
        and raw.get("origClientOrderId") == client_order_id
        and raw.get("symbol") == market_id(symbol)
        and answer.get("status") == "canceled"
    )
    if not is_ours:
        raise AnswerUntrusted("the answer is not about the order that was to be cancelled")
    return WriteResult(outcome=WriteOutcome.CONFIRMED, reason="cancelled")

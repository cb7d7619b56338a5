"""Writes of one simulated node, through the production last hop.

Rules of this file: the permit is asked by the production `WriteTicket` at the very moment the
request leaves; what the venue accepts was stamped within it (`make_stamp`). Nothing is sent twice.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from exchange.ccxt_strict import CallRefused
from exchange.ccxt_ticket import Stamp, WriteTicket, make_stamp
from exchange.clock_offset import VenueClock
from exchange.model import ClientOrderId, OrderIntent, VenueOrder, WriteOutcome, WriteResult
from exchange.ports import Permit
from exchange.venues import RECV_WINDOW_MIN_MS
from node.sim.asking import NoAnswer, request
from node.sim.market import SimExchange
from node.sim.network import Wire
from node.sim.process import SimProcess

T = TypeVar("T")
CANCEL_WINDOW_MIN_MS = 100
STALLS = 0.02  # share of writes in a storm that something holds up just before they leave


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Times of the configuration."""

    read_budget_s: float
    read_timeout_s: float
    write_timeout_s: float
    recv_window_ms: int


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
                self._process,
                self._wire,
                self._exchange,
                lambda: None,
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

        answer = await self._send(effect, stamp, epoch=intent.epoch, intent=intent)
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
            lambda: self._exchange.cancel(client_order_id, stamp), stamp, epoch=epoch
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

    def _busy_s(self) -> float:
        rng = self._process.world.rng
        if rng.random() < STALLS and not self._process.world.is_gentle:
            # What the last hop is for: nothing of this process runs, then it goes on as if
            # nothing had been (SIGSTOP, swapping, a virtual machine that was moved).
            self._process.world.count("stall before the last hop")
            self._process.pause(rng.uniform(0.3, 6.0))
        return rng.uniform(0, 0.004)

    async def _send(
        self,
        effect: Callable[[], T],
        stamp: Stamp,
        *,
        epoch: int,
        intent: OrderIntent | None = None,
    ) -> T | WriteResult:
        """Let the request out if the permit says so; a result says that nobody knows."""
        process = self._process
        ticket = WriteTicket(
            permit=self._permit, epoch=epoch, timeout_s=self._windows.write_timeout_s
        )
        lingers_s = 0.0
        try:
            # Throttling, signing and a busy loop lie between the stamp and the last hop.
            await asyncio.sleep(self._busy_s())
            timeout_s = ticket.enter(is_change=True)
            process.box.note_send(process, epoch, intent)
            return await request(
                process,
                self._wire,
                self._exchange,
                effect,
                timeout_s,
                is_write=True,
                held_s=None if intent is None else self._exchange.hold_s(stamp),
            )
        except CallRefused as error:
            return WriteResult(outcome=WriteOutcome.NOT_SENT, reason=str(error))
        except NoAnswer as error:
            lingers_s = self._windows.recv_window_ms / 1000
            return WriteResult(outcome=WriteOutcome.UNKNOWN, reason=str(error))
        finally:
            ticket.close(lingers_s=lingers_s)

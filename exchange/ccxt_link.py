"""Both sides of one venue with what they share: one clock, one limiter, one set of markets."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from exchange.ccxt_gateway import CcxtGateway, LateOutcome
from exchange.clock_offset import LocalInstant, VenueClock
from exchange.limiter import WeightLimiter
from exchange.ports import Permit
from exchange.reader import CcxtVenue
from exchange.retry import RetryTools
from exchange.venues import VenueRow, VenueSettings, venue_row


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueLink:
    """One node's connection to one venue."""

    row: VenueRow
    clock: VenueClock
    limiter: WeightLimiter
    venue: CcxtVenue
    gateway: CcxtGateway

    @property
    def effect_tail_ms(self) -> int:
        """How long after its deadline a request may still take effect (R9)."""
        return self.row.effect_tail_ms

    async def load(self) -> None:
        """Load markets, measure the clock, open the gateway's connection; before READY.

        Raises:
            VenueError: the venue did not answer or refused.
        """
        await self.venue.load()
        await self.gateway.warm()

    async def close(self) -> None:
        """Let requests under way end, then close all connections."""
        await self.gateway.close()
        await self.venue.close()


def read_raw_s() -> float:
    """Read CLOCK_MONOTONIC_RAW in seconds."""
    return time.clock_gettime(time.CLOCK_MONOTONIC_RAW)


def build_link(
    settings: VenueSettings,
    *,
    permit: Permit,
    boot_s: Callable[[], float],
    raw_s: Callable[[], float] = read_raw_s,
    monotonic_s: Callable[[], float],
    on_step: Callable[[str], None],
    on_late_outcome: LateOutcome,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> VenueLink:
    """Build both sides; nothing is opened yet.

    Args:
        settings: where and as whom.
        permit: the lease's permit, asked in the last hop of every write.
        boot_s: local clock that counts suspend (CLOCK_BOOTTIME), in seconds.
        raw_s: local clock whose rate nobody bends (CLOCK_MONOTONIC_RAW), in seconds.
        monotonic_s: local monotonic clock, in seconds.
        on_step: told after every bounded call of a read.
        on_late_outcome: told the outcome of a write whose caller was cancelled meanwhile.
        sleep: waits between attempts.

    Raises:
        ConfigurationRefused: the venue cannot be used in this way.
    """
    row = venue_row(settings.exchange_id)
    clock = VenueClock(lambda: LocalInstant(boot_s=boot_s(), raw_s=raw_s()))
    limiter = WeightLimiter(
        weight_per_minute=row.weight_per_minute, monotonic_s=monotonic_s, sleep=sleep
    )
    tools = RetryTools(monotonic_s=monotonic_s, on_step=on_step, sleep=sleep)
    gateway = CcxtGateway(
        settings,
        permit=permit,
        clock=clock,
        limiter=limiter,
        monotonic_s=monotonic_s,
        on_late_outcome=on_late_outcome,
    )
    venue = CcxtVenue(
        settings, clock=clock, limiter=limiter, tools=tools, on_markets=gateway.use_markets
    )
    return VenueLink(row=row, clock=clock, limiter=limiter, venue=venue, gateway=gateway)

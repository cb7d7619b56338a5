"""One look at a venue with a key: does it sign, what may it do, how do the clocks agree.

For a person who asks (the doctor, a deployment), never for trading: its reads share nothing with
a running node. Bounded in time; it cannot send anything that changes something (reader.py).
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from exchange.clock_offset import LocalInstant, VenueClock
from exchange.errors import VenueError, VenueUnavailable
from exchange.key_rights import KeyRights, KeySeen, parse_can_trade, parse_restrictions
from exchange.limiter import WeightLimiter
from exchange.reader import CcxtVenue
from exchange.retry import RetryTools
from exchange.venues import VenueSettings, venue_row

# Markets, clock, account and rights: four reads with their retries.
LOOK_S: Final = 20.0


class KeyReader(CcxtVenue):
    """Adds to the reads of a venue: what the key may do."""

    async def rights(self) -> KeyRights:
        """Return what this key may do; what the venue does not tell is None.

        Raises:
            VenueError: the key is refused, or there is no trusted answer.
        """
        can_trade = await self._signed("account", self._fetch_account, parse_can_trade)
        if not self._row.rights_call or self._settings.is_sandbox:
            return KeyRights(can_trade=can_trade)

        def parse(raw: Any) -> KeyRights:
            return parse_restrictions(raw, account_can_trade=can_trade)

        try:
            return await self._signed("rights", self._fetch_rights, parse)
        except VenueError:
            if self._settings.base_url is None:
                raise
            return KeyRights(can_trade=can_trade)  # a stand-in for the venue need not know it

    async def _fetch_rights(self) -> Any:
        return await getattr(self._exchange, self._row.rights_call)()


async def look_with_key(
    settings: VenueSettings, *, wall_ms: Callable[[], int], within_s: float = LOOK_S
) -> KeySeen:
    """Take one look at the venue as this key.

    Args:
        settings: where and as whom.
        wall_ms: this machine's Unix time, for comparing the clocks.
        within_s: all of it together.

    Raises:
        VenueError: refused, or no trusted answer in time.
        ConfigurationRefused: the venue cannot be asked.
    """
    row = venue_row(settings.exchange_id)
    clock = VenueClock(
        lambda: LocalInstant(
            boot_s=time.clock_gettime(time.CLOCK_BOOTTIME),
            raw_s=time.clock_gettime(time.CLOCK_MONOTONIC_RAW),
        )
    )
    reader = KeyReader(
        settings,
        clock=clock,
        limiter=WeightLimiter(
            weight_per_minute=row.weight_per_minute,
            monotonic_s=time.monotonic,
            sleep=asyncio.sleep,
        ),
        tools=RetryTools(monotonic_s=time.monotonic, on_step=lambda _: None, sleep=asyncio.sleep),
        on_markets=lambda _: None,
    )
    try:
        async with asyncio.timeout(within_s):
            rights = await reader.rights()
            account_id = await reader.account_id()
            await reader.measure_clock()
            known, now_ms = clock.estimate(), wall_ms()
    except TimeoutError:
        raise VenueUnavailable(f"no complete answer within {within_s:g} s") from None
    finally:
        await reader.close()
    if known is None:
        raise VenueUnavailable("the venue's clock and this one do not agree with themselves")
    middle_ms = known.earliest_ms + known.error_ms / 2
    return KeySeen(
        account_id=account_id,
        rights=rights,
        venue_ahead_ms=middle_ms - now_ms,
        error_ms=known.error_ms / 2,
    )

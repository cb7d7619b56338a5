"""A link to a local venue for tests: real ccxt, real HTTP, no waiting between attempts."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from exchange.ccxt_link import VenueLink, build_link
from exchange.model import (
    ClientOrderId,
    OrderIntent,
    OrderType,
    Side,
    TimeInForce,
    WriteResult,
)
from exchange.retry import RetryPolicy
from exchange.venues import VenueSettings
from tests.support.fake_permit import FakePermit

API_KEY = "key-that-nobody-may-see"
API_SECRET = "secret-that-nobody-may-see"


class LeapTime:
    """Monotonic time that passes only while the code under test waits, and then fast."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.waits: list[float] = []

    def monotonic_s(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now_s += max(seconds, 1.5)
        await asyncio.sleep(0)


class Rig:
    """A link, its permit, and what it told. Waiting between attempts takes no time."""

    def __init__(self, url: str, **settings: Any) -> None:
        self.permit = FakePermit(left_s=60.0)
        self.time = LeapTime()
        self.steps: list[str] = []
        self.late: list[tuple[ClientOrderId, WriteResult]] = []
        self.settings = VenueSettings(
            **{
                "exchange_id": "binance",
                "api_key": API_KEY,
                "api_secret": API_SECRET,
                "symbols": ("BTC/USDT",),
                "base_url": url,
                "read_timeout_s": 4.5,
                "read_budget_s": 4.9,
                **settings,
            }
        )
        # Longer than settings allow: no test may depend on how fast this machine answers. Where a
        # write is to be cut, the test shortens the permit.
        object.__setattr__(self.settings, "write_timeout_s", 30.0)
        self.link: VenueLink = build_link(
            self.settings,
            permit=self.permit,
            boot_s=lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
            monotonic_s=self.time.monotonic_s,
            sleep=self.time.sleep,
            on_step=self.steps.append,
            on_late_outcome=lambda order_id, result: self.late.append((order_id, result)),
        )

    def hurry(self) -> None:
        """From now on a read gives up after one short attempt; for servers that never answer."""
        self.link.venue._policy = RetryPolicy(budget_s=0.3, attempt_s=0.3)

    @property
    def venue(self) -> Any:
        return self.link.venue

    @property
    def gateway(self) -> Any:
        return self.link.gateway


@asynccontextmanager
async def open_rig(url: str, *, is_loaded: bool = True, **settings: Any) -> AsyncIterator[Rig]:
    """Build a link to `url`, load it unless told otherwise, close it at the end."""
    rig = Rig(url, **settings)
    try:
        if is_loaded:
            await rig.link.load()
        yield rig
    finally:
        await rig.link.close()


def an_intent(**changes: Any) -> OrderIntent:
    """A small limit buy of epoch 7."""
    values: dict[str, Any] = {
        "client_order_id": ClientOrderId("abc0000000000000001"),
        "symbol": "BTC/USDT",
        "side": Side.BUY,
        "type": OrderType.LIMIT,
        "time_in_force": TimeInForce.GTC,
        "amount": Decimal("0.5"),
        "price": Decimal("100.10"),
        "tag": "target",
        "epoch": 7,
        "node_id": "jetson",
        "created_wall_ms": 1_700_000_000_000,
    }
    return OrderIntent(**{**values, **changes})

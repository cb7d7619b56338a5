"""The two writes of the gateway, as tests of both do them."""

from collections.abc import Awaitable, Callable
from typing import Any

from exchange.model import ClientOrderId
from tests.support.venue_link import Rig, an_intent

Write = Callable[[Rig], Awaitable[Any]]


async def place(rig: Rig) -> Any:
    return await rig.gateway.place(an_intent())


async def cancel(rig: Rig) -> Any:
    return await rig.gateway.cancel("BTC/USDT", ClientOrderId("abc"), epoch=7)


WRITES: dict[str, tuple[str, Write]] = {"place": ("POST", place), "cancel": ("DELETE", cancel)}

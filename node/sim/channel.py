"""The reader's end of the alerts: what really arrived on the phone, and when.

The sender is the production one; this channel loses requests and answers, tells it to wait, and
is away for minutes. The checkers read `Phone.received`.
"""

import asyncio
import re
from dataclasses import dataclass

from alerts.ports import Delivery, DeliveryState
from node.sim.process import SimProcess
from node.sim.world import World

ANSWER_S = (0.05, 0.4)
TIMEOUT_S = 5.0
_SIGNATURE = re.compile(r"epoch (\d+) · (\S+) · .* · (#[0-9a-f]{5})\Z")
# What a message begins a line with that was, or will perhaps be, told a second time.
MARKED = ("(possibly sent before", "(may be sent again")
LATE = "told late, perhaps again"  # its disk failed when it was told first (untold.py)
TRADES = (" trades now", "no node ran for")


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One message on the phone."""

    at_s: float
    headline: str
    tag: str
    epoch: int
    node_id: str
    is_marked: bool

    @property
    def is_takeover(self) -> bool:
        """True when it says that a node trades from now on."""
        return any(words in self.headline for words in TRADES)


class Phone:
    """Receives messages; outlives every node."""

    def __init__(self, world: World) -> None:
        """With an empty screen."""
        self._world = world
        self.received: list[Received] = []
        self.away_until_s = 0.0
        self.limited_until_s = 0.0

    def take(self, text: str) -> None:
        """A message arrives."""
        lines = text.splitlines()
        found = _SIGNATURE.search(lines[-1])
        self.received.append(
            Received(
                at_s=self._world.now,
                headline=lines[0],
                tag=found.group(3) if found else "",
                epoch=int(found.group(1)) if found else 0,
                node_id=found.group(2) if found else "",
                is_marked=any(line.startswith(MARKED) or LATE in line for line in lines),
            )
        )
        self._world.note("phone", "message", text=lines[0])


class SimChannel:
    """`alerts.ports.Sender` to the phone."""

    name = "simulated phone"
    address = ""
    has_html = False

    def __init__(self, process: SimProcess, phone: Phone) -> None:
        """Send from a process."""
        self._process, self._phone = process, phone

    def move_to(self, address: str) -> None:
        """It has no addresses."""

    async def send(self, text: str, *, is_silent: bool, is_html: bool) -> Delivery:
        """Try once; the request may arrive although no answer comes back."""
        del is_silent, is_html
        world, phone = self._process.world, self._phone
        rng = world.rng
        if world.now < phone.limited_until_s:
            await asyncio.sleep(rng.uniform(*ANSWER_S))
            return Delivery(state=DeliveryState.RETRY_AFTER, wait_s=3.0, reason="429")
        if world.now < phone.away_until_s:
            if rng.random() < 0.3:  # noqa: PLR2004  (it arrived, only the answer was lost)
                world.count("alert answer lost")
                world.after(rng.uniform(*ANSWER_S), lambda: phone.take(text))
                await asyncio.sleep(TIMEOUT_S)
                return Delivery(state=DeliveryState.UNKNOWN, reason="no answer in time")
            await asyncio.sleep(rng.uniform(*ANSWER_S))
            return Delivery(state=DeliveryState.NOT_SENT, reason="connection refused")
        there_s, back_s = rng.uniform(*ANSWER_S), rng.uniform(*ANSWER_S)
        world.after(there_s, lambda: phone.take(text))
        await asyncio.sleep(there_s + back_s)
        return Delivery(state=DeliveryState.DELIVERED)

    async def close(self) -> None:
        """Nothing to close."""

"""Events and helpers for the tests of alerts/."""

import asyncio
import time
from collections.abc import Callable, Mapping

from alerts.model import AlertEvent, Kind, Verdict
from alerts.sender import AlertSender
from tests.support.bot_api import BotApi

WALL_MS = 1_800_000_000_000  # 2027-01-15 08:00:00 UTC


def build_event(
    event_id: str,
    kind: Kind = Kind.ORDER_UNKNOWN,
    *,
    verdict: Verdict = Verdict.LOOK,
    wall_ms: int = WALL_MS,
    facts: Mapping[str, str] | None = None,
    collapse_key: str = "",
    epoch: int = 7,
) -> AlertEvent:
    return AlertEvent(
        event_id=event_id,
        kind=kind,
        verdict=verdict,
        created_wall_ms=wall_ms,
        cluster="test-home",
        node_id="raspberrypi",
        epoch=epoch,
        facts={} if facts is None else facts,
        collapse_key=collapse_key,
    )


async def wait_until(condition: Callable[[], bool], what: str, *, deadline_s: float = 40.0) -> None:
    """Wait for a condition; fail with words when it never comes."""
    until_s = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < until_s, f"never happened: {what}"
        await asyncio.sleep(0.01)


class Notes:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.fields: list[dict[str, str | float]] = []

    def note(self, name: str, **fields: str | float) -> None:
        self.names.append(name)
        self.fields.append(fields)


def build_role_change(number: int) -> AlertEvent:
    return build_event(
        f"took_over:{number}", Kind.TOOK_OVER, verdict=Verdict.NOTHING_TO_DO, epoch=number
    )


def told(bot_api: BotApi) -> list[int]:
    """Epochs of the messages on the phone, in order."""
    return [int(text.split("· epoch ")[1].split(" ")[0]) for text in bot_api.texts]


def marked(bot_api: BotApi) -> list[bool]:
    return ["possibly sent before" in text for text in bot_api.texts]


async def all_told(sender: AlertSender) -> None:
    await wait_until(lambda: sender.health.waiting == 0, "everything was told")

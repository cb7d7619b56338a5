"""A process that tells numbered events, to be killed: `BASE_URL TOKEN PATH COUNT`.

Prints `put N` when an event is durable and `idle` when nothing is left to be told.
"""

import asyncio
import sys
from pathlib import Path

from alerts.durable import DurableOutbox
from alerts.model import Kind
from alerts.pace import Backoff
from alerts.sender import AlertSender
from alerts.telegram import TelegramApi, TelegramSender
from tests.alerts.builders import build_event, wait_until


async def main(base_url: str, token: str, path: Path, count: int) -> None:
    api = TelegramApi(token=token, base_url=base_url, timeout_s=20.0)
    outbox = DurableOutbox(path)
    sender = AlertSender(
        outbox,
        TelegramSender(api, chat_id="42"),
        backoff=Backoff(first_s=0.05, max_s=0.2),
        wall_ms=lambda: 1_800_000_000_000,
    )
    sender.start()
    for number in range(count):
        event = build_event(f"took_over:{number}", Kind.TOOK_OVER, epoch=number)
        await sender.put_soon(event)
        print(f"put {number}", flush=True)  # noqa: T201 - read by the test
    await wait_until(lambda: not outbox.rows, "everything was told", deadline_s=100.0)
    print("idle", flush=True)  # noqa: T201 - read by the test
    await sender.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])))

"""Reads the venue's record of the time of a drill: its log file, or its orders by its API (shell).

Rules of this file: it only reads, bounded in time, and says in words why it could not; what the
record must show is decided by placements.py. ccxt is imported here and only when it is needed.
"""

import asyncio
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from exchange.errors import ConfigurationRefused, VenueError
from exchange.identity import cluster_tag
from node.config_model import Config
from node.drill.placements import Placement, find_overlaps, find_twice, ours
from node.drill.verdict import VenueCheck
from node.secrets import Secrets

READ_S = 30.0
# Orders from so long before the drill on: the last one of the old leader is usually among them.
BEFORE_MS = 120_000


def check_log(path: Path, config: Config, *, since_ms: int) -> VenueCheck:
    """Check the log of a paper exchange.

    Raises:
        OSError: it cannot be read.
    """
    arrived = [
        Placement(
            client_order_id=str(line.get("client_order_id", "")),
            order=int(line.get("arrival", 0)),
            at_ms=int(line.get("arrived_venue_ms", 0)),
        )
        for line in _lines(path)
        if line.get("type") == "request" and line.get("method") == "POST"
    ]
    recent = [each for each in arrived if each.at_ms >= since_ms - BEFORE_MS]
    return _check(f"log {path.name}", recent, config)


def check_orders(config: Config, secrets: Secrets, *, since_ms: int) -> VenueCheck:
    """Check the orders that the venue's API lists.

    Raises:
        VenueError: there is no trusted answer.
        ConfigurationRefused: the venue cannot be asked.
    """
    found = asyncio.run(_read_orders(config, secrets, since_ms - BEFORE_MS))
    return _check(f"orders of {config.venue.exchange}", found, config)


async def _read_orders(config: Config, secrets: Secrets, since_ms: int) -> list[Placement]:
    from exchange.clock_offset import LocalInstant, VenueClock  # noqa: PLC0415  (with ccxt)
    from exchange.limiter import WeightLimiter  # noqa: PLC0415
    from exchange.order_record import OrderRecord  # noqa: PLC0415  (imports ccxt)
    from exchange.retry import RetryTools  # noqa: PLC0415
    from exchange.venues import venue_row  # noqa: PLC0415
    from node.venue_settings import venue_settings  # noqa: PLC0415

    def local() -> LocalInstant:
        return LocalInstant(
            boot_s=time.clock_gettime(time.CLOCK_BOOTTIME),
            raw_s=time.clock_gettime(time.CLOCK_MONOTONIC_RAW),
        )

    row = venue_row(config.venue.exchange)
    record = OrderRecord(
        venue_settings(config, secrets),
        clock=VenueClock(local),
        limiter=WeightLimiter(
            weight_per_minute=row.weight_per_minute,
            monotonic_s=time.monotonic,
            sleep=asyncio.sleep,
        ),
        tools=RetryTools(monotonic_s=time.monotonic, on_step=lambda _: None, sleep=asyncio.sleep),
        on_markets=lambda _: None,
    )
    found: list[Placement] = []
    try:
        async with asyncio.timeout(READ_S):
            await record.load()
            for symbol in (s for strategy in config.strategies for s in strategy.symbols):
                found += [
                    Placement(
                        client_order_id=str(order.client_order_id or ""),
                        order=order.created_venue_ms or 0,
                        at_ms=order.created_venue_ms or 0,
                    )
                    for order in await record.accepted_since(symbol, since_ms)
                ]
    except TimeoutError:
        raise VenueTooSlow(f"no complete answer within {READ_S:g} s") from None
    finally:
        await record.close()
    return found


class VenueTooSlow(VenueError):  # noqa: N818  (named by what happened)
    """The record was not read in time."""


CANNOT_READ = (VenueError, ConfigurationRefused, OSError)


def _check(source: str, placements: Iterable[Placement], config: Config) -> VenueCheck:
    mine = ours(placements, cluster_tag(config.cluster_id))
    problems = (*find_twice(each.client_order_id for each in mine), *find_overlaps(mine))
    return VenueCheck(source=source, orders=len(mine), problems=problems)


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the readable lines; the last one may still be written."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for text in file:
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict):
                yield line

"""The usual recipe: a redis-py `Lock` with a timeout, extended every third of it, in one loop.

    python lock_bot.py NODE TTL_S VENUE_HOST VENUE_PORT redis HOST:PORT
    python lock_bot.py NODE TTL_S VENUE_HOST VENUE_PORT sentinel HOST:PORT,HOST:PORT,HOST:PORT

Better than most of what is found: short socket timeouts instead of redis-py's defaults (5 s and
retries), the extension in the same loop as the orders and always before the next one, and an end
to trading at the first error or when the lock is not owned any more.
"""

import sys
import time
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import LockError, RedisError
from redis.retry import Retry
from redis.sentinel import Sentinel

from tests.bench.rivals.orders import Sender

SOCKET_S = 1.0
AGAIN_S = 0.1
NAME = "bench"


def main(node: str, ttl_s: float, sender: Sender, client: "redis.Redis") -> None:
    """Take the lock, trade while it is held, begin again."""
    del node
    while True:
        lock = client.lock(NAME, timeout=ttl_s, sleep=AGAIN_S)
        try:
            if not lock.acquire(blocking_timeout=SOCKET_S):
                continue
            extended_s = time.monotonic()
            while True:
                if time.monotonic() - extended_s >= ttl_s / 3:
                    lock.extend(ttl_s, replace_ttl=True)
                    extended_s = time.monotonic()
                sender.send()
        except (LockError, RedisError):
            time.sleep(AGAIN_S)


def connect(kind: str, addresses: str) -> "redis.Redis":
    """Return a client of the one server, or of whatever Sentinel names as the writable one."""
    places = [(h, int(p)) for h, _, p in (a.partition(":") for a in addresses.split(","))]
    options: dict[str, Any] = {
        "socket_timeout": SOCKET_S,
        "socket_connect_timeout": SOCKET_S,
        "retry": Retry(NoBackoff(), 0),
    }
    if kind == "redis":
        return redis.Redis(host=places[0][0], port=places[0][1], **options)
    sentinel: Any = Sentinel(places, sentinel_kwargs=options, **options)  # type: ignore[no-untyped-call]
    client: redis.Redis = sentinel.master_for(NAME)
    return client


if __name__ == "__main__":
    NODE, TTL, HOST, PORT, KIND, PLACES = sys.argv[1:]
    main(NODE, float(TTL), Sender(KIND, NODE, HOST, int(PORT)), connect(KIND, PLACES))

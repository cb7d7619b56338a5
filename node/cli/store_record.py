"""One store's record on its way to another store list, as a person at a command line moves it (R3).

Rules of this file: a lease that is held is not taken away; a holder that is silent is watched for
as long as any contender must (R6). Each step can be said again.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from election.errors import StoreUnreachable
from election.model import LeaseState, Refusal, StoreReply
from election.redis_move import StoreMover, key_of
from node.config import Config
from node.config_model import StoreConfig
from node.secrets import Secrets
from node.store_addresses import address_of

POLL_S = 0.3


@contextmanager
def open_mover(config: Config, secrets: Secrets, store: StoreConfig) -> Iterator[StoreMover]:
    """Connect to a store; close it when the block ends."""
    mover = StoreMover(
        address_of(store, secrets),
        cluster_id=config.cluster_id,
        request_timeout_ms=config.lease.request_timeout_ms,
    )
    try:
        yield mover
    finally:
        mover.close()


def id_in(mover: StoreMover, new_id: str) -> str:
    """Return the list that a store's record has now, whichever it is. Raises StoreUnreachable."""
    seen = mover.observe(new_id)
    return new_id if seen.record is None else seen.record.config_id


def move_record(config: Config, mover: StoreMover, old_id: str, new_id: str) -> str:
    """Give the record of the list `old_id` to the list `new_id`.

    Returns:
        Why it was not done, empty when it has the new list now.
    """
    try:
        seen = mover.observe(old_id)
        if _is_of(seen, new_id):
            return ""
        if not seen.is_ok or seen.record is None:
            return seen.detail or str(seen.refusal)
        is_silent = seen.record.state is LeaseState.HELD and _is_unchanged(
            config, mover, old_id, seen
        )
        reply = mover.move(seen, old=old_id, new=new_id, max_epoch=0, is_silent=is_silent)
    except StoreUnreachable as error:
        return str(error)
    return "" if reply.is_ok else reply.detail or str(reply.refusal)


def _is_unchanged(config: Config, mover: StoreMover, old_id: str, seen: StoreReply) -> bool:
    """Watch a held record for as long as a contender must (R6)."""
    assert seen.record is not None, "watched without a record"
    ttl_s = max(seen.record.ttl_ms, config.lease.ttl_ms) / 1000
    until_s = time.monotonic() + ttl_s * (1 + config.lease.drift)
    while time.monotonic() < until_s:
        time.sleep(POLL_S)
        if key_of(mover.observe(old_id)) != key_of(seen):
            return False
    return True


def _is_of(reply: StoreReply, config_id: str) -> bool:
    is_other = reply.refusal is Refusal.OTHER_CONFIG
    return is_other and reply.record is not None and reply.record.config_id == config_id

"""Releasing the lease of a process that is dead, in every store at once (R16).

Rules of this file: whoever calls has proven the death (the state directory's claim is its own).
Each store gets the release script once, with nonce, epoch and incarnation of the dead process; a
store that restarted since, or names somebody else, refuses, and that is right. Bounded: connecting
`CONNECT_S`, everything `ANSWER_S`.
"""

import queue
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from election.address import StoreAddress
from election.errors import StoreUnreachable
from election.grant_note import GrantLeft
from election.model import Incarnation, Refusal, StoreName, StoreReply
from election.one_shot import exchange, login_commands
from election.redis_errors import unreachable
from election.redis_reply import keys_of, parse_store_reply
from election.resp import Argument, ServerSaid
from election.script_text import ScriptName, load_script

CONNECT_S: Final = 1.0
ANSWER_S: Final = 2.0
# The threads keep to the time limit themselves; they only need to be scheduled to say so.
_SCHEDULING_S: Final = 0.1
REASON_MAX: Final = 200  # as for every other release: the record is small
# How the reason of every such release begins: the next holder says it, and knows that nobody
# handed over (node/takeover.py).
AFTER_CRASH: Final = "released after a crash"


@dataclass(frozen=True, slots=True, kw_only=True)
class Epitaph:
    """What one store said to the release; `is_released` when the lease is free there now."""

    store: StoreName
    is_released: bool
    said: str
    is_gone: bool = False  # nothing of the dead process is there any more


def release_after_death(
    left: GrantLeft,
    *,
    password_of: Callable[[StoreName], str | None],
    drain_ms: int,
    reason: str,
) -> tuple[Epitaph, ...]:
    """Release what the dead process held in every store; never raises for a store.

    Args:
        left: the dead process's note, of this boot and directory.
        password_of: returns the password to log in with, None for none.
        drain_ms: how long what it sent may still take effect.
        reason: for the record and for people, after "released after a crash: ".
    """
    deadline_s = time.monotonic() + ANSWER_S
    found: queue.SimpleQueue[Epitaph] = queue.SimpleQueue()
    text = f"{AFTER_CRASH}: {reason}"[:REASON_MAX]
    asked = [
        replace(address, password=password_of(address.name))
        for address in left.addresses
        if address.name in left.incs
    ]
    for address in asked:
        threading.Thread(
            target=lambda address=address: found.put(
                _release(address, left, drain_ms, text, deadline_s)
            ),
            daemon=True,  # a resolver that hangs must not keep the hook from ending
            name=f"release-{address.name}",
        ).start()
    said: dict[StoreName, Epitaph] = {
        address.name: Epitaph(
            store=address.name,
            is_released=False,
            said="it was never seen by the dead process; nothing to release there",
        )
        for address in left.addresses
    } | {
        address.name: Epitaph(store=address.name, is_released=False, said="no answer in time")
        for address in asked
    }
    for _ in asked:
        try:
            left_s = max(deadline_s - time.monotonic(), 0.0) + _SCHEDULING_S
            epitaph = found.get(timeout=left_s)
        except queue.Empty:
            break
        said[epitaph.store] = epitaph
    return tuple(said[address.name] for address in left.addresses)


def _release(
    address: StoreAddress, left: GrantLeft, drain_ms: int, reason: str, deadline_s: float
) -> Epitaph:
    try:
        return _said_by(address, left, drain_ms, reason, deadline_s)
    except StoreUnreachable as error:
        said = str(error)
    except (OSError, ServerSaid, ValueError) as error:
        said = str(unreachable(address.text, error, secret=address.password))
    return Epitaph(store=address.name, is_released=False, said=said)


def _said_by(
    address: StoreAddress, left: GrantLeft, drain_ms: int, reason: str, deadline_s: float
) -> Epitaph:
    me, inc = left.identity, left.incs[address.name]
    # Sent whole: a hook that asks once has no use for a second round trip after NOSCRIPT.
    script: tuple[Argument, ...] = (
        "EVAL",
        load_script(ScriptName.RELEASE).text,
        1,
        keys_of(me.cluster_id).lease,
        me.cluster_id,
        address.old_list or me.config_id,
        secrets.token_hex(8),
        inc,
        me.nonce,
        left.epoch,
        drain_ms,
        "",  # reserved for nobody
        reason,
    )
    replies = exchange(address, (*login_commands(address), script), deadline_s, connect_s=CONNECT_S)
    for reply in replies:
        if isinstance(reply, ServerSaid):
            raise reply
    return judge_reply(address.name, parse_store_reply(replies[-1]), inc)


def judge_reply(store: StoreName, answer: StoreReply, inc: Incarnation) -> Epitaph:
    """Return what a store's answer to the release means; `inc` is the life that was noted."""
    if answer.is_ok:
        return Epitaph(store=store, is_released=True, said="released")
    return Epitaph(
        store=store,
        is_released=False,
        said=_in_words(answer.refusal, answer.detail, inc),
        is_gone=answer.refusal in {Refusal.INCARNATION, Refusal.NOT_MINE},
    )


def _in_words(refusal: Refusal, detail: str, inc: Incarnation) -> str:
    if refusal is Refusal.INCARNATION:
        return f"it began another life since (it was {inc[:8]}); nothing to release there"
    if refusal is Refusal.NOT_MINE:
        return "it does not name the dead process any more; nothing to release there"
    return f"it refused: {detail or refusal.value}"

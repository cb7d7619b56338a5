"""One daemon thread a store (and one for the disk): blocking calls, one at a time (edge).

A dead store costs its own thread a timeout and delays nobody else. Instants are read right before
the call leaves and right after its answer is here, in this thread: time spent waiting for the
coordinator must count for nobody.
"""

import queue
import secrets
import threading
from collections.abc import Callable

from election.errors import EpochFileUnusable, StoreUnreachable
from election.instants import instant_of
from election.model import Identity, LeaseTiming, StoreReply, WriteId
from election.ports import EpochFile, LeaseClock, LeaseStore
from election.signals import (
    Answered,
    Call,
    EpochNotStored,
    EpochStored,
    Failed,
    Stimulus,
    StoreEpoch,
    Verb,
)

_DETAIL_MAX = 300  # an error text goes into events and alerts; it must have a bound


class StoreWorker:
    """Executes calls to one store and posts what came of them."""

    def __init__(
        self,
        *,
        store: LeaseStore,
        identity: Identity,
        timing: LeaseTiming,
        clock: LeaseClock,
        post: Callable[[Stimulus], None],
    ) -> None:
        """Prepare the thread; `post` must be thread-safe and return at once."""
        self._store = store
        self._identity = identity
        self._ttl_ms = timing.ttl_ms
        self._clock = clock
        self._post = post
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._run, name=f"lease-{store.name}", daemon=True)

    def put(self, call: Call) -> None:
        """Queue a call; the machine has at most one under way."""
        self._calls.put(call)

    def stop(self) -> None:
        """End after the call under way and close the connection."""
        self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            sent = instant_of(self._clock.read())
            try:
                reply = execute(
                    self._store,
                    call,
                    identity=self._identity,
                    ttl_ms=self._ttl_ms,
                    new_wid=WriteId(secrets.token_hex(8)),
                )
            except StoreUnreachable as error:
                self._post(Failed(call=call, error=str(error)[:_DETAIL_MAX]))
            except Exception as error:  # noqa: BLE001  (our bug: the store counts as lost, in words)
                text = f"bug in the store client: {type(error).__name__}: {error}"
                self._post(Failed(call=call, error=text[:_DETAIL_MAX]))
            else:
                received = instant_of(self._clock.read())
                self._post(Answered(call=call, reply=reply, sent=sent, received=received))
        self._store.close()


def execute(
    store: LeaseStore, call: Call, *, identity: Identity, ttl_ms: int, new_wid: WriteId
) -> StoreReply:
    """Make one call to a store.

    Raises:
        StoreUnreachable: no usable answer.
    """
    match call.verb:
        case Verb.OBSERVE:
            return store.observe(identity=identity, new_wid=new_wid)
        case Verb.ACQUIRE:
            return store.acquire(
                identity=identity,
                epoch=call.epoch,
                ttl_ms=ttl_ms,
                expected_inc=call.expected_inc,
                expected_wid=call.expected_wid,
                new_wid=new_wid,
                reason=call.reason,
            )
        case Verb.RENEW:
            return store.renew(
                identity=identity,
                epoch=call.epoch,
                ttl_ms=ttl_ms,
                expected_inc=call.expected_inc,
                new_wid=new_wid,
            )
        case Verb.REASSERT:
            return store.reassert(
                identity=identity,
                epoch=call.epoch,
                ttl_ms=ttl_ms,
                expected_inc=call.expected_inc,
                expected_wid=call.expected_wid,
                new_wid=new_wid,
            )
        case Verb.RELEASE:
            return store.release(
                identity=identity,
                epoch=call.epoch,
                expected_inc=call.expected_inc,
                new_wid=new_wid,
                drain_ms=call.drain_ms,
                reserved_for=call.reserved_for,
                reason=call.reason,
            )


class DiskWorker:
    """Makes epochs durable; a stalling SD card delays nobody else."""

    def __init__(self, *, epoch_file: EpochFile, post: Callable[[Stimulus], None]) -> None:
        """Prepare the thread; `post` must be thread-safe and return at once."""
        self._epoch_file = epoch_file
        self._post = post
        self._orders: queue.SimpleQueue[StoreEpoch | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._run, name="lease-disk", daemon=True)

    def put(self, order: StoreEpoch) -> None:
        """Queue an epoch."""
        self._orders.put(order)

    def stop(self) -> None:
        """End after the write under way."""
        self._orders.put(None)

    def _run(self) -> None:
        while (order := self._orders.get()) is not None:
            try:
                self._epoch_file.store(order.epoch)
            except EpochFileUnusable as error:
                self._post(EpochNotStored(epoch=order.epoch, error=str(error)[:_DETAIL_MAX]))
            except Exception as error:  # noqa: BLE001  (our bug: not durable, said in words)
                text = f"bug in the epoch file: {type(error).__name__}: {error}"
                self._post(EpochNotStored(epoch=order.epoch, error=text[:_DETAIL_MAX]))
            else:
                self._post(EpochStored(epoch=order.epoch))

"""The heartbeat's crew of threads: one coordinator, one a store, one for the disk (edge).

None of them belongs to the work loop: a renewal never waits for a venue. The coordinator's thread
never blocks but for its next stimulus or tick.
"""

import queue
import threading
import time

from election.crew import CrewOrders
from election.signals import Call, Stimulus, StoreEpoch
from election.store_worker import DiskWorker, StoreWorker


class ThreadCrew:
    """Satisfies `election.crew.Crew` with daemon threads."""

    def __init__(self, orders: CrewOrders) -> None:
        """Prepare the threads; nothing runs before `start`."""
        self._coordinator = orders.coordinator
        self._inbox: queue.SimpleQueue[Stimulus | None] = queue.SimpleQueue()
        self._workers = {
            store.name: StoreWorker(
                store=store,
                identity=orders.identity,
                timing=orders.timing,
                clock=orders.clock,
                post=self._inbox.put,
            )
            for store in orders.stores
        }
        self._disk = DiskWorker(epoch_file=orders.epoch_file, post=self._inbox.put)
        self._thread = threading.Thread(target=self._run, name="lease-heartbeat", daemon=True)

    @property
    def is_alive(self) -> bool:
        """True while the coordinator's thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the threads."""
        for worker in self._workers.values():
            worker.thread.start()
        self._disk.thread.start()
        self._thread.start()

    def post(self, stimulus: Stimulus) -> None:
        """Queue a stimulus for the coordinator."""
        self._inbox.put(stimulus)

    def call(self, call: Call) -> None:
        """Hand a call to its store's thread."""
        self._workers[call.store].put(call)

    def store_epoch(self, order: StoreEpoch) -> None:
        """Hand an epoch to the disk's thread."""
        self._disk.put(order)

    def stop(self, timeout_s: float) -> None:
        """End the threads; wait for each that is not in a call that hangs."""
        self._inbox.put(None)
        for worker in self._workers.values():
            worker.stop()
        self._disk.stop()
        until_s = time.monotonic() + timeout_s
        threads = [self._thread, self._disk.thread, *(w.thread for w in self._workers.values())]
        for thread in threads:
            if thread.is_alive():
                thread.join(max(0.0, until_s - time.monotonic()))

    def _run(self) -> None:
        self._coordinator.begin()
        due_s = time.monotonic()
        while True:
            stimulus: Stimulus | None = None
            has_stimulus = True
            try:
                stimulus = self._inbox.get(timeout=max(0.0, due_s - time.monotonic()))
            except queue.Empty:
                has_stimulus = False
            if has_stimulus and stimulus is None:
                return
            is_due = not has_stimulus or time.monotonic() >= due_s
            wake_in_s = self._coordinator.turn(stimulus, is_due=is_due)
            if wake_in_s is None:
                return
            next_s = time.monotonic() + wake_in_s
            due_s = next_s if is_due else min(due_s, next_s)

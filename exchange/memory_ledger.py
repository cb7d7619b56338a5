"""Stand-in for the lease stores' ledger, in memory, with faults on request."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryAnswer:
    """Satisfies `exchange.ports.LedgerAnswer`."""

    is_accepted: bool
    reason: str


class MemoryStore:
    """One store: documents, the epoch that may write, and whether it answers."""

    def __init__(self, name: str) -> None:
        """Start empty, before any grant."""
        self.name = name
        self.documents: dict[str, str] = {}
        self.epoch = 0
        self.is_up = True

    def flush(self) -> None:
        """Lose everything but the lease, which the holder re-asserts."""
        self.documents = {}


class MemoryLedger:
    """Satisfies `exchange.ports.Ledger` over some stores that several nodes share.

    `before_call(name)` is called before each operation on each store and may raise
    ConnectionError to make that store fail once, before anything was written; `after_call(name)`
    the same after the write, when only the answer is lost.
    """

    def __init__(
        self,
        stores: Collection[MemoryStore],
        *,
        before_call: Callable[[str], None] = lambda _name: None,
        after_call: Callable[[str], None] = lambda _name: None,
    ) -> None:
        """Use these stores."""
        self.stores = tuple(stores)
        self._before_call = before_call
        self._after_call = after_call

    def grant(self, epoch: int) -> None:
        """Let an epoch write from now on, as a grant of the lease does."""
        for store in self.stores:
            store.epoch = max(store.epoch, epoch)

    def write(
        self, *, epoch: int, puts: Mapping[str, str], deletes: Collection[str]
    ) -> MemoryAnswer:
        """Put and delete in every store that is up and knows no later epoch."""
        accepted, reasons = 0, []
        for store in self.stores:
            if not store.is_up:
                reasons.append(f"{store.name}: no answer")
                continue
            try:
                self._before_call(f"ledger.write {store.name}")
                if store.epoch != epoch:
                    reasons.append(f"{store.name}: epoch {store.epoch} holds the lease")
                    continue
                store.documents.update(puts)
                for key in deletes:
                    store.documents.pop(key, None)
                self._after_call(f"ledger.write {store.name}")
                accepted += 1
            except ConnectionError as error:
                reasons.append(f"{store.name}: {error}")
        is_accepted = 2 * accepted > len(self.stores)
        return MemoryAnswer(
            is_accepted=is_accepted, reason="" if is_accepted else "; ".join(reasons)
        )

    def read(self) -> tuple[Mapping[str, str], ...]:
        """Return the documents of each store that answers."""
        return tuple(dict(store.documents) for store in self.stores if store.is_up)

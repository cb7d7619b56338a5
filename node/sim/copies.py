"""What the copies of the journal really took, beside what was sent and what was given up (S3).

Rules of this file: it hears of every write that a store or a disk took, at the moment at which it
was taken, and of every order that leaves; no node can know that much. Each method states one
promise; a broken one ends the run.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from exchange.journal_codec import INTENT
from exchange.model import ClientOrderId, OrderIntent, Side
from node.sim.process import SimProcess
from node.sim.world import World


class Copies:
    """The journal's copies in true time."""

    def __init__(self, world: World, *, stores: int) -> None:
        """Begin with nothing written; `stores`: how many there are."""
        self._world = world
        self._has_three = stores > 1
        self._majority = stores // 2 + 1
        self._taken_by: defaultdict[str, set[str]] = defaultdict(set)
        # Of each store: whose writes it took, in the order of their first ones.
        self._tenures: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
        self._granted: dict[str, int] = {}
        self._given_up: set[str] = set()
        self._accepted: set[str] = set()

    def note_ledger(self, store: str, nonce: str, epoch: int, puts: Mapping[str, str]) -> None:
        """No store takes a write of an older holder after the first one of a newer holder."""
        tenure, tenures = (nonce, epoch), self._tenures[store]
        if tenure not in tenures:
            tenures.append(tenure)
        elif tenures[-1] != tenure:
            self._world.violate(
                "a journal write of an older holder was accepted after a newer holder's",
                store=store,
                older=f"{nonce} epoch {epoch}",
                newer="{} epoch {}".format(*tenures[-1]),
            )
        for key in puts:
            if key.startswith(INTENT):
                self._taken_by[key.removeprefix(INTENT)].add(store)

    def check_intent(self, process: SimProcess, intent: OrderIntent) -> None:
        """An order leaves only after a majority of the stores and the own disk took its intent.

        With three stores a disk that is known to fail may lack it, with one store for a sell.
        """
        number = intent.client_order_id
        runtime = process.box.runtime
        assert runtime is not None, "a write without a node"
        taken_by = self._taken_by[number]
        is_waived = runtime.parts.relies_on_promise()
        if len(taken_by) < self._majority and not is_waived:
            self._world.violate(
                "an order left before a majority of the stores took its intent",
                id=number,
                by=process.name,
                taken_by=" ".join(sorted(taken_by)) or "no store",
            )
        if any(f"{INTENT}{number}" in file for file in process.box.disk.files.values()):
            return
        trader = runtime.shift.trader
        is_known = trader is not None and bool(trader.writer.disk_trouble)
        may_lack = self._has_three or intent.side is Side.SELL
        if not (is_known and may_lack):
            self._world.violate(
                "an order left before the own disk took its intent", id=number, by=process.name
            )

    def note_arrival(self, client_order_id: ClientOrderId) -> None:
        """No order is accepted after it was given up as not sent, refused or absent."""
        self._accepted.add(client_order_id)
        if client_order_id in self._given_up:
            self._world.violate("an order was accepted after it was given up", id=client_order_id)

    def hear(self, process: SimProcess, name: str, fields: Mapping[str, Any]) -> None:
        """What a node gives up is not at the venue; the epochs that a box was granted grow."""
        if name == "lease.granted":
            self._note_grant(process, int(fields["lease_epoch"]))
        if self._is_given_up(name, fields):
            self._note_given_up(process, str(fields["client_order_id"]))

    def _is_given_up(self, name: str, fields: Mapping[str, Any]) -> bool:
        """Tell whether a node says that an order is not, and never will be, at the venue."""
        if name == "order.not_sent":  # an id that was never journalled is free for another try
            return bool(self._taken_by.get(str(fields["client_order_id"])))
        is_absent = name == "order.resolved" and fields.get("outcome") == "absent"
        return is_absent or name == "order.rejected"

    def _note_given_up(self, process: SimProcess, number: str) -> None:
        self._given_up.add(number)
        if number in self._accepted:
            self._world.violate(
                "an order was given up that the venue has accepted", id=number, by=process.name
            )

    def _note_grant(self, process: SimProcess, epoch: int) -> None:
        """R7: what was asked for is on the box's disk before, so it never asks for it again."""
        box = process.box.name
        before = self._granted.get(box, 0)
        if epoch <= before:
            self._world.violate(
                "a box was granted an epoch that it had used", box=box, epoch=epoch, before=before
            )
        self._granted[box] = epoch

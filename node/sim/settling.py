"""The checkers that look when everything had time to settle: after a storm, and at the end.

In the last part of a calm the price stands still, so that journal and venue must agree exactly.
"""

from collections import defaultdict
from decimal import Decimal

from node.latches import LOSS_LIMIT
from node.sim.channel import Phone, Received
from node.sim.market import SYMBOL, SimExchange
from node.sim.watching import Watching
from node.sim.world import World

NEXT_LOOK_S = 5.0  # after a cancel the venue is looked at within a second or two


class Settling:
    """Checks the promises that hold once nothing goes wrong any more."""

    def __init__(
        self,
        world: World,
        watching: Watching,
        exchange: SimExchange,
        phone: Phone,
        *,
        is_strict: bool = False,
    ) -> None:
        """Look at a world; `is_strict`: no epoch may be announced by both nodes."""
        self._is_strict = is_strict
        self._world, self._watching = world, watching
        self._exchange, self._phone = exchange, phone

    def check_trading(self, calm_s: float) -> None:
        """L1: with a majority and a healthy node somebody trades again within the bound."""
        if self._watching.active() is None:
            roles = ", ".join(f"{box.name} {box.in_words}" for box in self._watching.boxes)
            self._world.violate(f"nobody trades {calm_s:.0f} s after the storm", roles=roles)

    def check_books(self) -> None:
        """S3: no intent lost or doubled; the journal's position is what the fills add up to."""
        box = self._watching.active()
        if box is None or box.runtime is None or box.runtime.shift.trader is None:
            return
        world, exchange = self._world, self._exchange
        journal = box.runtime.shift.trader.journal
        world.count("books compared")
        expected = {o.client_order_id for o in exchange.open_orders(SYMBOL)}
        # A candle may have closed just now: what was cancelled since is learnt in the next look.
        known = {
            r.client_order_id
            for r in journal.open_intents()
            if world.now - exchange.cancelled_s.get(r.client_order_id, 0.0) > NEXT_LOOK_S
        }
        if expected != known:
            world.violate(
                "the journal and the venue disagree on open orders",
                only_at_venue=" ".join(sorted(map(str, expected - known))),
                only_in_journal=" ".join(sorted(known - expected)),
            )
        if journal.unknown_intents():
            world.violate(
                "an outcome is still unknown",
                ids=" ".join(r.client_order_id for r in journal.unknown_intents()),
            )
        amount = journal.position(SYMBOL).position.amount
        true_amount = self._true_amount()
        if amount != true_amount:
            world.violate("the journal's position is wrong", journal=amount, venue=true_amount)
        for tag, ids in exchange.open_tags().items():
            if len(ids) > 1:
                world.violate("an order was doubled", tag=tag, ids=" ".join(ids))

    def _true_amount(self) -> Decimal:
        base = SYMBOL.partition("/")[0]
        total = Decimal(0)
        for fill in self._exchange.fills:
            total += fill.side.sign * fill.amount
            total -= fill.fee if fill.fee_asset == base else Decimal(0)
        return total

    def check_loss_latch(self) -> None:
        """The two nodes agree on the loss limit's record."""
        versions = {
            record.version
            for box in self._watching.boxes
            if box.living is not None and box.runtime is not None
            for record in [box.runtime.parts.watch.latches.records.get(LOSS_LIMIT)]
            if record is not None
        }
        if len(versions) > 1:
            self._world.violate("the nodes disagree on the loss limit", versions=versions)

    def check_announcements(self) -> None:
        """S5: each epoch that traded was announced, and once unless the repeat says so."""
        told: dict[tuple[int, str], list[Received]] = defaultdict(list)
        for message in self._phone.received:
            if message.is_takeover:
                # When every copy that knew an epoch is gone, the other node may be granted it
                # again (docs/simulation.md): two takeovers, each told once.
                by = "" if self._is_strict else message.node_id
                told[message.epoch, by].append(message)
        for (epoch, _), messages in sorted(told.items()):
            plain = [m for m in messages if not m.is_marked]
            if len(plain) > 1:
                self._world.violate("an epoch was announced twice", epoch=epoch)
            if len({m.tag for m in messages}) > 1:
                self._world.violate("an epoch was announced in two ways", epoch=epoch)
        known = {epoch for epoch, _ in told}
        for epoch in sorted(self._watching.owed_announcements() - known):
            self._world.violate("an epoch was never announced", epoch=epoch)

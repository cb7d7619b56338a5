"""A desk with its venue, and a log of everything that happened on the write path, in order."""

from decimal import Decimal

from exchange.journal import merge
from exchange.memory_ledger import MemoryLedger, MemoryStore
from exchange.memory_venue import Fault, MemoryExchange, MemoryVenue
from exchange.model import OrderIntent
from exchange.orders import OrderEvent, OrderEventKind
from exchange.risk import RiskFacts
from tests.support.desk import Desk, MemoryDisk, new_desk
from tests.support.journals import SYMBOL, make_intent

FACTS = RiskFacts(
    position_amount=Decimal(0),
    buys_amount=Decimal(0),
    sells_amount=Decimal(0),
    open_orders=0,
    orders_last_minute=0,
    reference_price=Decimal(100),
)


class Rig:
    """A desk with its exchange, and a log of everything that happened, in order."""

    def __init__(self, *, stores: int = 3) -> None:
        self.log: list[str] = []
        self.events: list[OrderEvent] = []
        self.fault = Fault.NONE
        self.exchange = MemoryExchange({SYMBOL: Decimal(100)})
        self.ledger = MemoryLedger(
            [MemoryStore(str(n)) for n in range(stores)], before_call=self.log.append
        )
        self.disk = MemoryDisk(lambda: self.log.append("disk"))
        self.desk: Desk = new_desk(
            self.exchange,
            self.ledger,
            venue=MemoryVenue(self.exchange, on_call=self.on_call),
            disk=self.disk,
            observe=self.events.append,
        )
        self.desk.is_disk_optional = stores == 3
        self.desk.take_over()

    def on_call(self, name: str) -> Fault:
        self.log.append(name)
        return self.fault

    @property
    def kinds(self) -> list[OrderEventKind]:
        return [event.kind for event in self.events]

    @property
    def states(self) -> dict[str, str]:
        """State of each intent, as a node that merged the stores would read it."""
        merged = merge([(s.name, s.documents) for s in self.ledger.stores])
        return {cid: record.state.value for cid, record in merged.journal.intents.items()}


def intent(counter: int = 0, *, price: str = "99", amount: str = "1") -> OrderIntent:
    return make_intent(counter, price=price, amount=amount)

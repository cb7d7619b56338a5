"""Small builders of journal values for tests."""

from decimal import Decimal

from exchange.identity import IdParts, cluster_tag, encode, node_tag
from exchange.intents import IntentRecord, IntentState
from exchange.model import ClientOrderId, OrderIntent, OrderType, Side, TimeInForce, VenueOrderId

SYMBOL = "ETH/USDT"
CLUSTER = cluster_tag("test-desk")
DEADLINE_MS = 1_700_000_005_000


def make_id(counter: int = 0, *, epoch: int = 1, node_id: str = "jetson") -> ClientOrderId:
    """Return an id of the test cluster."""
    return encode(
        IdParts(cluster_tag=CLUSTER, epoch=epoch, node_tag=node_tag(node_id), counter=counter)
    )


def make_intent(
    counter: int = 0,
    *,
    epoch: int = 1,
    side: Side = Side.BUY,
    amount: str = "1",
    price: str = "100",
    tag: str = "grid-1",
    symbol: str = SYMBOL,
    time_in_force: TimeInForce = TimeInForce.GTC,
) -> OrderIntent:
    """Return a limit order intent."""
    return OrderIntent(
        client_order_id=make_id(counter, epoch=epoch),
        symbol=symbol,
        side=side,
        type=OrderType.LIMIT,
        time_in_force=time_in_force,
        amount=Decimal(amount),
        price=Decimal(price),
        tag=tag,
        epoch=epoch,
        node_id="jetson",
        created_wall_ms=1_700_000_000_000,
    )


def make_record(
    counter: int = 0,
    *,
    state: IntentState = IntentState.OPEN,
    epoch: int = 1,
    filled: str = "0",
    venue_order_id: str | None = None,
    side: Side = Side.BUY,
    tag: str = "grid-1",
    amount: str = "1",
    price: str = "100",
) -> IntentRecord:
    """Return an intent as the journal has it."""
    return IntentRecord(
        intent=make_intent(counter, epoch=epoch, side=side, tag=tag, amount=amount, price=price),
        state=state,
        deadline_venue_ms=DEADLINE_MS,
        venue_order_id=None if venue_order_id is None else VenueOrderId(venue_order_id),
        filled=Decimal(filled),
    )

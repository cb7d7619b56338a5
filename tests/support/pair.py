"""A running pair for the end-to-end tests: real nodes, real stores, the paper exchange, a judge.

Built on the demo's stage and story. Every wait is for something seen in a log or a store; a run
ends with `judge`, which reads the documented logs alone (node/demo/checker.py).
"""

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from election.model import LeaseState, NodeId
from election.peek import merged_members
from node.demo.checker import check_run, load_run, render
from node.demo.node_process import NodeProcess
from node.demo.stage import NODES, Stage, StagePlan, StrategyPart
from node.demo.story import Story
from tests.support.bot_api import BotApi

JETSON, PI = NODES
ETH, BTC = "ETH/USDT", "BTC/USDT"
WAIT_S = 90.0
TTL_S = 3.0  # of the stage's default plan
SPEED = 30.0  # a candle in two seconds
# A pass costs about 80 units of request weight, a look for new candles 4; a node allows itself 45
# a second. Faster than this, a long test would wait for its own limiter.
VENUE = {"cycle_ms": 400, "reconcile_interval_ms": 5000}

MOVER_FILE = "mover.py"
# Moves one resting order with every candle, far below the market: there is always activity.
MOVER = '''
"""mover: one buy order, three percent below the last close, moved with every candle."""

from decimal import Decimal

from exchange.model import Side
from strategy.model import Decision, Declaration, DesiredOrder, Evidence, Parameter

STRATEGY = Declaration(
    name="mover",
    version="1",
    symbols=("BTC/USDT",),
    timeframe="1m",
    history=1,
    parameters={"amount": Parameter(default=Decimal("0.001"), doc="base units")},
    doc="One order that moves.",
)


def decide(market, portfolio, state):
    step = market.rules.price_step
    price = market.candles[-1].close * Decimal("0.97") // step * step
    order = DesiredOrder(tag="m", side=Side.BUY, amount=market.parameters["amount"], price=price)
    close = Evidence(condition="a close", value=str(price), threshold="any", has_fired=True)
    return Decision(orders=(order,), state={}, evidence=(close,), reason="follow the close")
'''


def walk(salt: str, start_price: str, volume: str, **changes: Any) -> dict[str, Any]:
    """Return the paper exchange's settings for a seeded random walk."""
    return {
        "seed": f"e2e-{salt}",
        "speed": SPEED,
        "warmup": 260,
        "start_price": start_price,
        "volume": volume,
        **changes,
    }


def grid_part(**changes: Any) -> StrategyPart:
    """Five resting orders around a reference: something to adopt."""
    paper = walk("eth", "2000", changes.pop("volume", "50"))
    return StrategyPart(
        use="grid", symbol=ETH, parameters={"step_percent": 0.2} | changes, paper=paper
    )


def mover_part(**changes: Any) -> StrategyPart:
    """One order that moves with every candle: something in flight."""
    return StrategyPart(
        use=MOVER_FILE, symbol=BTC, parameters=changes, paper=walk("btc", "40000", "20")
    )


def plan_of(*parts: StrategyPart, **changes: Any) -> StagePlan:
    """Return a plan: grid and mover unless told, ten thousand USDT."""
    fields: dict[str, Any] = {
        "parts": parts or (grid_part(), mover_part()),
        "balances": {"USDT": "10000"},
        "risk": {"max_orders_per_minute": 200},
        "venue": VENUE,
    }
    return StagePlan(**{**fields, **changes})


@dataclass(slots=True)
class Pair:
    """Two nodes on a stage, and what tests ask about them."""

    stage: Stage
    story: Story = field(init=False)

    def __post_init__(self) -> None:
        """Let the story tell into the test's output."""
        self.story = Story(stage=self.stage, write=print)

    # --- acts --------------------------------------------------------------------------------

    def open(self) -> None:
        """Let the Jetson trade, the Pi be its fit spare, and orders rest at the venue."""
        self.start(JETSON)
        self.wait_active(JETSON)
        self.story.start_node(PI)
        self.story.wait_spare(PI)
        self.wait_resting()

    def start(self, node_id: str, **options: Any) -> None:
        """Start a node and wait until it stands by."""
        seen = self.stage.role_changes(node_id)
        self.node(node_id).start(**options)

        def is_standby() -> bool:
            assert self.node(node_id).is_running, self.stage.last_words()
            changes = self.node(node_id).events("role.changed")[seen:]
            return any(e["to"] == "standby" for e in changes)

        self.wait(is_standby, f"{node_id} to stand by")

    def kill(self, node_id: str) -> None:
        """SIGKILL a node."""
        self.node(node_id).kill()

    def hold_back_an_order(self, node_id: str) -> str:
        """Let the venue hold back the answer to the node's next order; return the order's id."""
        before = len(self.stage.requests())
        self.stage.paper.arm("delay_after", method="POST", path="order", key=node_id, seconds=30)
        line = self.wait(
            lambda: next((r for r in self.requests(since=before) if r.get("faults")), None),
            "an order whose answer is held back",
        )
        return str(line["client_order_id"])

    def fill_some(self, *prices: str) -> None:
        """Move the price of ETH, down into the grid and up, until the venue filled something."""
        before = len(self.venue_fills())
        turns = itertools.cycle(prices or ("1985", "2080"))

        def is_filled() -> bool:
            self.stage.paper.jump(ETH, next(turns))
            self.stage.paper.advance(ETH, points=4)
            return len(self.venue_fills()) > before

        self.wait(is_filled, "fills at the venue")

    def judge(self) -> None:
        """Stand the market still, let the holder count every fill, end the nodes, read the logs."""
        stage = self.stage
        stage.paper.clear_faults()
        self.story.close()
        logs = [n.log_path for n in stage.nodes.values() if n.log_path.exists()]
        verdict = check_run(load_run(stage.paper.log_path, logs))
        assert verdict.holds, render(verdict)

    # --- looking -----------------------------------------------------------------------------

    def node(self, node_id: str) -> NodeProcess:
        """Return a node's process."""
        return self.stage.nodes[node_id]

    def events(self, node_id: str, name: str, **fields: Any) -> list[dict[str, Any]]:
        """Return a node's events of one name in which the fields have these values."""
        return [
            e
            for e in self.node(node_id).events(name)
            if all(e.get(key) == value for key, value in fields.items())
        ]

    def accounted_for(self, node_id: str) -> set[str]:
        """Return the client order ids of which a node found out what became of them."""
        return {
            str(e["client_order_id"])
            for name in ("order.resolved", "order.adopted", "order.done")
            for e in self.events(node_id, name)
        }

    def told(self, kind: str, *nodes: str) -> list[dict[str, Any]]:
        """Return the delivered messages of one kind, of these nodes or of all."""
        return [e for n in nodes or NODES for e in self.events(n, "alert.delivered", kind=kind)]

    def requests(self, key: str | None = None, *, since: int = 0) -> list[dict[str, Any]]:
        """Return the requests that could change something, of one key or of all."""
        return [
            line
            for line in self.stage.requests()[since:]
            if line["type"] == "request" and (key is None or line["key"] == key)
        ]

    def venue_fills(self) -> list[dict[str, Any]]:
        """Return the fills at the venue."""
        return [line for line in self.stage.requests() if line["type"] == "fill"]

    def is_active(self, node_id: str) -> bool:
        """Tell whether the node's last role change made it active."""
        changes = self.node(node_id).events("role.changed")
        return bool(changes) and changes[-1]["to"] == "active"

    def epochs(self, node_id: str) -> list[int]:
        """Return the epochs that were granted to a node, oldest first."""
        return [int(e["lease_epoch"]) for e in self.events(node_id, "lease.granted")]

    def documents(self) -> list[Mapping[str, str]]:
        """Return the journal documents in each store."""
        return [store.documents for store in self.stage.peek().stores]

    def latches(self) -> list[set[str]]:
        """Return the kinds of the control records in each store."""
        return [set(store.control) for store in self.stage.peek().stores]

    def holders(self) -> list[tuple[str, int]]:
        """Return node and epoch that each store names as holder."""
        records = [store.record for store in self.stage.peek().stores]
        return [
            (str(r.node_id), r.epoch)
            for r in records
            if r is not None and r.state is LeaseState.HELD
        ]

    def member(self, node_id: str) -> Mapping[str, Any]:
        """Return what a node says about itself on the member board."""
        found = merged_members(self.stage.peek()).get(NodeId(node_id))
        return {} if found is None else found.body

    # --- waiting -----------------------------------------------------------------------------

    def wait(self, condition: Callable[[], Any], what: str, *, timeout_s: float = WAIT_S) -> Any:
        """Wait until the condition gives something true, and return it."""
        return self.stage.wait_for(condition, what, timeout_s=timeout_s)

    def wait_active(self, node_id: str, *, since: int = 0) -> dict[str, Any]:
        """Wait until a node trades (after its first `since` role changes); return its report."""
        event = self.stage.wait_role(node_id, "active", since=since, timeout_s=WAIT_S)
        return dict(self.wait_event(node_id, "takeover.finished", epoch=event["epoch"]))

    def wait_event(
        self, node_id: str, name: str, *, since: int = 0, **fields: Any
    ) -> dict[str, Any]:
        """Wait for an event of a node, after its first `since` ones that fit."""
        return dict(
            self.wait(
                lambda: next(iter(self.events(node_id, name, **fields)[since:]), None),
                f"{name} of {node_id} {fields or ''}",
            )
        )

    def wait_order(self, node_id: str) -> dict[str, Any]:
        """Wait for an order of the node that is sent from now on and accepted."""
        before = len(self.stage.requests())

        def accepted() -> dict[str, Any] | None:
            return next(
                (
                    line
                    for line in self.requests(node_id, since=before)
                    if line["method"] == "POST" and line["outcome"] == "accepted"
                ),
                None,
            )

        return dict(self.wait(accepted, f"an order of {node_id}"))

    def wait_resting(self, at_least: int = 3) -> None:
        """Wait until orders rest at the venue."""
        self.wait(lambda: self.story.resting() >= at_least, f"{at_least} resting orders")

    def wait_told(self, kind: str, *nodes: str, since: int = 0) -> dict[str, Any]:
        """Wait until a message of one kind was delivered, after the first `since` ones."""
        found = self.wait(lambda: self.told(kind, *nodes)[since:], f"a {kind} message")
        return dict(found[0])


def wall_ms(event: Mapping[str, Any]) -> int:
    """Return the Unix milliseconds of a log line."""
    return int(datetime.fromisoformat(str(event["ts"])).timestamp() * 1000)


@contextlib.contextmanager
def running_pair(
    directory: Path, plan: StagePlan, files: Mapping[str, str] | None = None
) -> Iterator[Pair]:
    """Build the stage with its strategy files; end everything when the block ends."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in {MOVER_FILE: MOVER, **(files or {})}.items():
        (directory / name).write_text(text)
    with Stage(directory, plan) as stage:
        yield Pair(stage)


class BotApiThread:
    """The local Bot API server in a thread of its own, for tests that wait without a loop."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        """Nothing runs yet."""
        self.api = BotApi(host=host)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        """Serve; the API's fields may be read and its faults set from the test's thread."""
        self._thread.start()
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        """Close the port and end the thread."""
        self.down()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10.0)
        self._loop.close()

    def up(self) -> None:
        """Listen, after `down` on the same port as before."""
        self._call(self.api.start())

    def down(self) -> None:
        """Close the port: connections are refused."""
        self._call(self.api.stop())

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30.0)

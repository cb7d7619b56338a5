"""The stories that the demo plays: what happens to the pair, told as it happens.

Rules of this file: every wait is for something seen in a log or a store, never for a time to
pass; a story returns the figures that it measured and judges nothing (checker.py does).
"""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from election.model import NodeId
from election.peek import majority_holder, merged_members
from node.demo.stage import Stage

JETSON, PI = "jetson", "raspberrypi"
# A story goes on even if a quiet market leaves fewer resting orders than this.
RESTING_WANTED = 3
TRADING_WAIT_S = 30.0
# The answer that is lost with the process is held back far longer than the process lives.
HELD_BACK_S = 30
HOLD_TRIES = 5
# How long the market is left to itself before it is moved.
PATIENCE_S = 8.0


@dataclass(slots=True)
class Story:
    """Tells lines with the seconds since the start, and collects figures."""

    stage: Stage
    write: Callable[[str], None]
    started_s: float = field(default_factory=time.monotonic)
    figures: dict[str, float | None] = field(
        default_factory=lambda: {"takeover_s": None, "first_order_s": None, "switchover_s": None}
    )

    def say(self, text: str) -> None:
        """Tell one line."""
        self.write(f"{time.monotonic() - self.started_s:6.1f} s  {text}")

    # --- acts --------------------------------------------------------------------------------

    def open(self) -> None:
        """Start both nodes and wait until one trades and the other is its spare."""
        stage = self.stage
        stores = ", ".join(f"{s.name} :{s.port}" for s in stage.stores)
        self.say(f"lease stores: {stores}; paper exchange: {stage.paper.url}")
        self.start_node(JETSON)
        self.wait_active(JETSON)
        self.start_node(PI)
        self.wait_spare(PI)

    def start_node(self, node_id: str) -> None:
        """Start a node and wait until it stands by."""
        seen = self.stage.role_changes(node_id)
        process = self.stage.nodes[node_id].start()
        self.stage.wait_role(node_id, "standby", since=seen)
        self.say(f"{node_id} runs as process {process.pid} and stands by")

    def wait_active(self, node_id: str, *, since: int = 0) -> dict[str, Any]:
        """Wait until a node trades; tell how it came to."""
        event = self.stage.wait_role(node_id, "active", since=since)
        epoch = event["epoch"]
        report = self.stage.wait_for(
            lambda: next(
                (
                    e
                    for e in self.stage.nodes[node_id].events("takeover.finished")
                    if e["epoch"] == epoch
                ),
                None,
            ),
            f"the takeover report of epoch {epoch}",
        )
        self.say(
            f"{node_id} leads under epoch {epoch}: {report['reason']}; orders kept "
            f"{report['orders_kept']}, cancelled {report['orders_cancelled']}, unclear "
            f"{report['orders_unclear']}"
        )
        return dict(event)

    def wait_spare(self, node_id: str) -> None:
        """Wait until the member board shows the node as a fit standby."""

        def is_fit() -> bool:
            member = merged_members(self.stage.peek()).get(NodeId(node_id))
            return (
                member is not None
                and member.age_s < 3  # noqa: PLR2004  (three beats)
                and member.body.get("role") == "standby"
                and not member.body.get("reasons")
            )

        self.stage.wait_for(is_fit, f"{node_id} to be a fit spare")
        self.say(f"{node_id} is a fit spare")

    def trade_a_while(self, *, more_fills: int) -> None:
        """Wait until orders rest and some more were filled, or the market was too quiet."""
        before = self.fills()
        deadline_s = time.monotonic() + TRADING_WAIT_S

        def has_traded() -> bool:
            is_late = time.monotonic() > deadline_s
            return self.resting() >= RESTING_WANTED and (
                self.fills() >= before + more_fills or is_late
            )

        self.stage.wait_for(has_traded, "orders to rest", timeout_s=2 * TRADING_WAIT_S)
        self.say(f"trading: {self.resting()} orders rest at the exchange, {self.fills()} fills")

    def fills(self) -> int:
        """Count the fills at the exchange."""
        return sum(1 for line in self.stage.requests() if line["type"] == "fill")

    def resting(self) -> int:
        """Count the orders that rest at the exchange."""
        lines = self.stage.requests()
        orders = {line["order_id"]: line for line in lines if line["type"] == "order"}
        filled: dict[int, float] = {}
        for line in lines:
            if line["type"] == "fill":
                filled[line["order_id"]] = filled.get(line["order_id"], 0.0) + float(
                    line["quantity"]
                )
        ended = {line["order_id"] for line in lines if line["type"] == "end"}
        return sum(
            1
            for order_id, order in orders.items()
            if order_id not in ended
            and filled.get(order_id, 0.0) < float(order["quantity"]) - 1e-12
        )

    def kill_with_order_in_flight(self) -> None:
        """Hold back the answer to an order while others rest, and SIGKILL the holder meanwhile."""
        self.say("the exchange will hold back the answer to the next order")
        for _ in range(HOLD_TRIES):
            line = self._hold_an_answer()
            if self.resting() > 1:  # the held one and another
                break
            # Alone it makes a poor picture; the holder finds out about it and goes on.
            self.stage.wait_for(lambda: self.resting() > 1, "orders to rest")
        self.say(
            f"order {line['client_order_id']} was accepted, its answer is held back; "
            f"{self.resting()} orders rest"
        )
        self.kill(JETSON, PI)
        self.stage.paper.clear_faults()

    def _hold_an_answer(self) -> dict[str, Any]:
        """Wait until the answer to an order of the holder is held back; return the request."""
        stage = self.stage
        # Counted first: an order may be hit the moment the fault is armed.
        before = len(stage.requests())
        stage.paper.arm("delay_after", method="POST", path="order", key=JETSON, seconds=HELD_BACK_S)
        nudge = self._nudge(in_s=PATIENCE_S)

        def was_hit() -> dict[str, Any] | None:
            nudge()
            return next(
                (
                    line
                    for line in stage.requests()[before:]
                    if line["type"] == "request" and line.get("faults")
                ),
                None,
            )

        found = stage.wait_for(was_hit, "an order whose answer is held back")
        return dict(found)

    def kill(self, victim: str, heir: str) -> None:
        """SIGKILL the holder; wait for the other to trade; measure."""
        stage = self.stage
        seen = stage.role_changes(heir)
        wall_ms = time.time_ns() // 1_000_000
        stage.nodes[victim].kill()
        self.say(f"SIGKILL for {victim}; nobody trades now")
        event = self.wait_active(heir, since=seen)
        self.figures["takeover_s"] = round((_wall_ms(event["ts"]) - wall_ms) / 1000, 2)
        nudge = self._nudge(in_s=0.0)

        def first_order() -> dict[str, Any] | None:
            nudge()
            return next(
                (
                    line
                    for line in stage.requests()
                    if line["type"] == "request"
                    and line["method"] == "POST"
                    and line["key"] == heir
                    and line["arrived_venue_ms"] >= wall_ms
                ),
                None,
            )

        line = stage.wait_for(first_order, f"the first order of {heir}")
        self.figures["first_order_s"] = round((line["arrived_venue_ms"] - wall_ms) / 1000, 2)
        self.say(
            f"{heir} was active {self.figures['takeover_s']} s after the kill, its first order "
            f"arrived after {self.figures['first_order_s']} s"
        )

    def switch_to(self, node_id: str, *, of: str) -> None:
        """Ask for a planned switchover and measure the time in which nobody could send."""
        stage = self.stage
        # Something must rest that the other one can adopt.
        stage.wait_for(lambda: self.resting() >= RESTING_WANTED, "orders to rest")
        seen = stage.role_changes(node_id)
        self.say(f"nodectl switchover --to {node_id}")
        done = stage.nodectl("switchover", "--to", node_id)
        for line in (done.stdout + done.stderr).splitlines():
            self.say(f"    {line}")
        event = self.wait_active(node_id, since=seen)
        drained = next(
            e for e in reversed(stage.nodes[of].events("role.changed")) if e.get("to") == "draining"
        )
        gap_ms = _wall_ms(event["ts"]) - _wall_ms(drained["ts"])
        self.figures["switchover_s"] = round(gap_ms / 1000, 2)
        self.say(f"handed over in {self.figures['switchover_s']} s")

    def close(self) -> None:
        """Close the market, let the holder count every fill, and end both nodes."""
        stage = self.stage
        stage.paper.pause()
        # A market that only stands still would still fill an order that crosses the spread.
        stage.paper.halt(part.symbol for part in stage.plan.parts)
        self.say("the market is closed; the holder counts what was filled")
        stage.wait_for(self.is_all_counted, "every fill to be counted")
        stage.paper.write_balances()
        # The spare first, so that stopping the holder is no reason to take over.
        holder = majority_holder(stage.peek())
        name = None if holder is None else holder.node_id
        for node in sorted(stage.nodes.values(), key=lambda n: n.node_id == name):
            if node.is_running:
                node.send(signal.SIGTERM)
                node.wait(30.0)
        self.say("both nodes were asked to end, and did")

    def is_all_counted(self) -> bool:
        """Tell whether every fill at the venue is in a node's log."""
        stage = self.stage
        fills = {
            (line["symbol"], str(line["trade_id"]))
            for line in stage.requests()
            if line["type"] == "fill" and str(line["client_order_id"]).startswith("h")
        }
        counted = {
            (str(e["symbol"]).replace("/", ""), str(e["fill_id"]))
            for node in stage.nodes.values()
            for e in node.events("order.filled")
        }
        return fills <= counted

    def _nudge(self, *, in_s: float) -> Callable[[], None]:
        """Return a call that moves the market now and then, so that somebody wants an order."""
        state = {"due_s": time.monotonic() + in_s}

        def nudge() -> None:
            if time.monotonic() >= state["due_s"]:
                state["due_s"] = time.monotonic() + 1.0
                self.stage.paper.advance(candles=3)

        return nudge


def play_three_stores(story: Story) -> None:
    """The pair with a witness: kill, takeover, return, switchover."""
    story.open()
    story.trade_a_while(more_fills=5)
    story.kill_with_order_in_flight()
    story.trade_a_while(more_fills=3)
    story.start_node(JETSON)
    story.wait_spare(JETSON)
    story.switch_to(JETSON, of=PI)
    story.trade_a_while(more_fills=3)


def play_two_boxes(story: Story) -> None:
    """Two boxes, one store on the Pi: pull the Jetson, then the Pi, and show what it costs."""
    stage = story.stage
    story.say("two boxes: the only lease store runs on the Raspberry Pi's side")
    story.open()
    story.trade_a_while(more_fills=5)
    story.say("pulling the Jetson's plug")
    story.kill_with_order_in_flight()
    story.start_node(JETSON)
    story.wait_spare(JETSON)
    story.switch_to(JETSON, of=PI)
    story.say("pulling the Pi's plug: its node and the only store go together")
    seen = stage.role_changes(JETSON)
    stage.stores[0].kill()
    stage.nodes[PI].kill()
    stage.wait_role(JETSON, "standby", since=seen)
    story.say("jetson stopped by itself: nobody can prove to it that the Pi is dead")
    arrived = len([line for line in stage.requests() if line["type"] == "request"])
    stage.wait_for(
        lambda: stage.nodes[JETSON].events("trading.nobody"), "the alert that nobody trades"
    )
    later = len([line for line in stage.requests() if line["type"] == "request"])
    story.say(
        f"nobody trades, and it was told; requests since it stopped: {later - arrived}; "
        f"{story.resting()} orders still rest at the exchange"
    )
    story.say("the Pi is back")
    stage.stores[0].restart()
    seen = stage.role_changes(JETSON)
    story.start_node(PI)
    stage.wait_for(
        lambda: any(
            e.get("to") == "active"
            for node, since in ((JETSON, seen), (PI, 0))
            for e in stage.nodes[node].events("role.changed")[since:]
            if e["ts"] > _last_nobody(stage)
        ),
        "somebody to trade again",
    )
    story.say("somebody trades again, one ttl after the store came back")
    story.trade_a_while(more_fills=3)


def _last_nobody(stage: Stage) -> str:
    return str(stage.nodes[JETSON].events("trading.nobody")[-1]["ts"])


def _wall_ms(timestamp: str) -> int:
    return int(datetime.fromisoformat(timestamp).timestamp() * 1000)

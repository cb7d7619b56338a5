"""Real failovers in the lab, one after another, each taken apart into its phases.

Rules of this file: T0 is read on the machine's clock just before the act; every other instant
comes from a log (node, paper exchange, Bot API server), so that looking seldom spoils nothing.
Between two failovers the pair is made whole again. A batch ends with the lab's judge: no order
doubled, none lost, no two permits.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from election.model import LeaseTiming
from node.crash_file import FILE_NAME as CRASH_BOOK
from node.demo.stage import StagePlan, StrategyPart
from node.demo.story import JETSON, PI
from tests.bench.figures import Failover
from tests.chaos.lab import Lab, running_lab
from tests.support.frozen_thread import freeze_main_thread
from tests.support.pair import BTC, TTL_S, plan_of, walk, wall_ms

# Runs in one lab: its logs stay short, so that looking at them does not load the machine.
BATCH = 10
LOOK_S = 0.1
PATIENCE_S = 90.0
QUIET_S = 2.0
DEFAULTS: Mapping[str, int] = {"ttl_ms": LeaseTiming().ttl_ms}
CRASH: Mapping[str, str] = {
    "SERVICE_RESULT": "signal",
    "EXIT_CODE": "killed",
    "EXIT_STATUS": "KILL",
}

PACER_FILE = "pacer.py"
# A new order with every candle, and candles so short that each look at them (a node looks once a
# second, and at once when it becomes active) finds a new one: the first order waits for nothing.
PACER = '''
"""pacer: with every candle one new order far below the market, and the former one cancelled."""

from decimal import Decimal

from exchange.model import Side
from strategy.model import Decision, Declaration, DesiredOrder, Evidence

STRATEGY = Declaration(
    name="pacer",
    version="1",
    symbols=("BTC/USDT",),
    timeframe="1m",
    history=1,
    parameters={},
    doc="A new order with every candle.",
)


def decide(market, portfolio, state):
    candle = market.candles[-1]
    step = market.rules.price_step
    price = candle.close * Decimal("0.96") // step * step
    tag = f"n{candle.open_ms // 60000 % 1000}"
    order = DesiredOrder(tag=tag, side=Side.BUY, amount=Decimal("0.001"), price=price)
    close = Evidence(condition="a close", value=str(price), threshold="any", has_fired=True)
    return Decision(orders=(order,), state={}, evidence=(close,), reason="one order a candle")
'''

FILES: Mapping[str, str] = {PACER_FILE: PACER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One way in which a leader ends. `is_alternating`: each node is the leader in turn."""

    name: str
    act: Callable[[Lab, str], float]
    stores: int = 3
    lease: Mapping[str, int] | None = None  # None: the demo's timings for a ttl of 3 s
    is_alternating: bool = True

    @property
    def ttl_s(self) -> float:
        """The lease's ttl in seconds."""
        return TTL_S if self.lease is None else self.lease["ttl_ms"] / 1000


def pull_the_plug(lab: Lab, victim: str) -> float:
    """Cut the cable, then the power: no peer sees a connection close."""
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    at_ms = time.time() * 1000
    return at_ms + (lab.pull(victim).cut_boot_s - before) * 1000


def crash(lab: Lab, victim: str) -> float:
    """Kill the process; nobody says so to the stores."""
    at_ms = time.time() * 1000
    lab.pair.kill(victim)
    return at_ms


def crash_supervised(lab: Lab, victim: str) -> float:
    """Kill the process; its supervisor runs the stop hook as soon as it has ended."""
    at_ms = crash(lab, victim)
    state_dir = lab.stage.directory / "state" / victim
    command = [*lab.net[victim].space.prefix, sys.executable, "-m", "node.cli.main"]
    command += ["release", "--after-crash", "--state-dir", str(state_dir)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        cwd="/",
        env={**os.environ, **CRASH},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return at_ms


def hang(lab: Lab, victim: str) -> float:
    """Stop the thread of the work loop while the others go on."""
    node, last_ms = lab.pair.node(victim), time.time() * 1000

    def renewals() -> set[object]:
        return {s.record.wid for s in lab.stage.peek().stores if s.record is not None}

    freeze_main_thread(node.pid, pulse=renewals, wait=lab.pair.wait)
    # The thread was stopped at most one look before; its last step is in its log.
    stops = [wall_ms(e) for e in node.events("strategy.decided")]
    return max([last_ms, *map(float, stops)])


def switch(lab: Lab, victim: str) -> float:
    """Ask for it on the command line; T0 is when the old leader closes its gate."""
    seen = len(lab.pair.events(victim, "role.changed", to="draining"))
    heir = PI if victim == JETSON else JETSON
    done = lab.stage.nodectl("switchover", "--to", heir)
    assert done.returncode == 0, done.stderr
    drains = lab.pair.events(victim, "role.changed", to="draining")
    return float(wall_ms(drains[seen]))


CASES: Mapping[str, Case] = {
    case.name: case
    for case in (
        Case(name="plug", act=pull_the_plug, lease=DEFAULTS),
        Case(
            name="plug-one-store", act=pull_the_plug, lease=DEFAULTS, stores=1, is_alternating=False
        ),
        Case(name="plug-ttl-3", act=pull_the_plug),
        Case(name="crash", act=crash, lease=DEFAULTS),
        Case(name="crash-hook", act=crash_supervised, lease=DEFAULTS),
        Case(name="hang", act=hang, lease=DEFAULTS),
        Case(name="switchover", act=switch, lease=DEFAULTS),
    )
}


def plan_for(case: Case) -> StagePlan:
    """Return the cluster of a case: one strategy with an order every second."""
    paper = walk("bench", "40000", "20", speed=600, volatility=0.0002)
    changes: dict[str, Any] = {} if case.lease is None else {"lease": dict(case.lease)}
    return plan_of(
        StrategyPart(use=PACER_FILE, symbol=BTC, paper=paper),
        stores=case.stores,
        risk={"max_orders_per_minute": 600},
        venue={"cycle_ms": 250, "reconcile_interval_ms": 5000},
        **changes,
    )


def run_case(case: Case, directory: Path, runs: int) -> Iterator[Failover]:
    """Yield each failover of a case as it was measured."""
    for first in range(0, runs, BATCH):
        plan = plan_for(case)
        with running_lab(directory / f"{case.name}-{first}", plan, files=FILES) as lab:
            lab.pair.start(JETSON)
            lab.pair.wait_active(JETSON)
            lab.pair.start(PI)
            lab.pair.story.wait_spare(PI)
            for run in range(first, min(first + BATCH, runs)):
                yield _measure(case, lab, run)
                _make_whole(case, lab)
            lab.judge()


def _measure(case: Case, lab: Lab, run: int) -> Failover:
    pair, old = lab.pair, lab.leader()
    new = PI if old == JETSON else JETSON
    lab.pair.wait_order(old)
    # The act must not always fall into the same moment after an order or a renewal.
    time.sleep(QUIET_S * ((run * 0.618) % 1))
    epochs, load = len(pair.epochs(new)), os.getloadavg()[0]
    t0_ms = case.act(lab, old)

    granted = _see(lambda: pair.events(new, "lease.granted")[epochs:], "a grant")[0]
    epoch = int(granted["lease_epoch"])
    active = _see(lambda: pair.events(new, "role.changed", to="active", epoch=epoch), "active")[0]
    first = _see(lambda: _orders(lab, new, after_ms=wall_ms(granted)), "an order")[0]
    tail = f"epoch {epoch} · {new}"
    told = _see(
        lambda: [m for m in lab.telegram.api.messages if tail in m.text and "trades now" in m.text],
        "the message",
    )[0]
    old_orders = [o["arrived_venue_ms"] for o in _orders(lab, old)]
    granted_ms = wall_ms(granted) - t0_ms
    silent_s = granted["silent_s"]
    return Failover(
        case=case.name,
        run=run,
        old=old,
        new=new,
        load=round(load, 2),
        last_old_ms=max(old_orders) - t0_ms,
        silent_since_ms=None if silent_s is None else granted_ms - 1000 * float(silent_s),
        granted_ms=granted_ms,
        active_ms=wall_ms(active) - t0_ms,
        first_order_ms=float(first["arrived_venue_ms"]) - t0_ms,
        told_ms=told.at_wall_s * 1000 - t0_ms,
    )


def _orders(lab: Lab, node: str, *, after_ms: float = 0) -> list[dict[str, Any]]:
    return [
        r
        for r in lab.pair.requests(node)
        if r["method"] == "POST"
        and r["outcome"] == "accepted"
        and r["arrived_venue_ms"] >= after_ms
    ]


def _see(condition: Callable[[], list[Any]], what: str) -> list[Any]:
    """Wait for something to be seen, looking seldom: the machine is measured, not watched."""
    until_s = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < until_s, f"waited {PATIENCE_S:.0f} s for {what}"
        time.sleep(LOOK_S)
    return found


def _forgive(lab: Lab, node: str) -> None:
    """Take the book of crashes off a box that is off.

    A node that died three times in ten minutes while it traded stays out until a person says so;
    here it is killed on purpose, more often than that.
    """
    for path in (lab.stage.directory / "state" / node).glob(f"{CRASH_BOOK}"):
        path.unlink()


def _make_whole(case: Case, lab: Lab) -> None:
    """Give the pair its spare back; with the store on the Pi only the Jetson may die."""
    for name, host in lab.net.hosts.items():
        if not host.is_powered:
            lab.plug(name, with_node=False)
    for node in (JETSON, PI):
        process = lab.pair.node(node)
        if process.is_running and lab.leader() != node and case.act is hang:
            process.wait(PATIENCE_S)  # its fence ends it
        if not process.is_running:
            assert process.process is None or process.wait() in (-signal.SIGKILL, 0)
            _forgive(lab, node)
            lab.pair.start(node)
    lab.wait_pair()
    if not case.is_alternating and lab.leader() != JETSON:
        done = lab.stage.nodectl("switchover", "--to", JETSON)
        assert done.returncode == 0, done.stderr
        lab.pair.wait(lambda: lab.leader() == JETSON, "the Jetson to trade")
        lab.wait_pair()

"""The pair under the faults of rival_lab.py, judged by the same arithmetic on its venue's log.

Rules of this file: three stores, default timings; the Jetson leads before the fault; the strategy
sends one order a second, so a gap is up to a second longer than the lease alone would make it.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from node.demo.story import JETSON, PI
from tests.bench.failovers import FILES, Case, plan_for, pull_the_plug
from tests.bench.figures import Order, judge_senders
from tests.bench.rival_lab import ADVERTS, Trial, trial_of, watch_s
from tests.chaos.lab import WITNESS, Lab, running_lab
from tests.chaos.lab_clock import HOUR_S, WallClock, build_clocks

SYSTEM = "hotspare"
LEASES: Mapping[int, Mapping[str, int] | None] = {6: {"ttl_ms": 6000}, 3: None}
WARM_S = 2.0
BOXES = (JETSON, PI, WITNESS)


def plug(lab: Lab, ttl_s: int, clocks: Mapping[str, WallClock]) -> None:
    """Cut the power of the leading box."""
    del ttl_s, clocks
    pull_the_plug(lab, JETSON)


def cut(lab: Lab, ttl_s: int, clocks: Mapping[str, WallClock]) -> None:
    """Cut the leading box from the other boxes, not from the venue."""
    del ttl_s, clocks
    lab.net.part([JETSON], [PI, WITNESS])


def stop(lab: Lab, ttl_s: int, clocks: Mapping[str, WallClock]) -> None:
    """Stop the leading node for twice the ttl; nobody is there to go on if its fence works."""
    del clocks
    node = lab.pair.node(JETSON)
    node.send(signal.SIGSTOP)
    time.sleep(2 * ttl_s)
    with contextlib.suppress(ProcessLookupError):
        node.send(signal.SIGCONT)


def clock(lab: Lab, ttl_s: int, clocks: Mapping[str, WallClock]) -> None:
    """Step the wall clock of every box, stores and nodes, by one hour."""
    del lab, ttl_s
    for one in clocks.values():
        one.set(HOUR_S)


def restart(lab: Lab, ttl_s: int, clocks: Mapping[str, WallClock]) -> None:
    """Kill all three stores and start them again at once, empty: they keep nothing on disk."""
    del ttl_s, clocks
    for store in lab.stage.stores:
        store.restart()


FAULTS: Mapping[str, Callable[[Lab, int, Mapping[str, WallClock]], None]] = {
    "plug": plug,
    "cut": cut,
    "stop": stop,
    "clock": clock,
    "restart": restart,
}


def run_pair(
    directory: Path,
    runs: int,
    *,
    faults: Sequence[str] = tuple(FAULTS),
    ttls_s: Sequence[int] = tuple(ADVERTS),
) -> Iterator[Trial]:
    """Yield what the pair did under each fault; each run is a cluster of its own."""
    for ttl_s in ttls_s:
        for fault in faults:
            for run in range(runs):
                yield _run(directory / f"{fault}-{ttl_s}-{run}", fault, ttl_s, run)


def _run(directory: Path, fault: str, ttl_s: int, run: int) -> Trial:
    clocks = build_clocks(directory / "clocks", BOXES)
    environ = {host: one.environ for host, one in clocks.items()}
    plan = plan_for(Case(name=fault, act=pull_the_plug, lease=LEASES[ttl_s]))
    with running_lab(directory, plan, files=FILES, environ=environ) as lab:
        lab.pair.start(JETSON)
        lab.pair.wait_active(JETSON)
        lab.pair.start(PI)
        lab.pair.story.wait_spare(PI)
        lab.pair.wait_order(JETSON)
        time.sleep(WARM_S * ((run * 0.618) % 1))
        load, fault_ms = os.getloadavg()[0], time.time() * 1000
        FAULTS[fault](lab, ttl_s, clocks)
        time.sleep(max(0.0, fault_ms / 1000 + watch_s(ttl_s) - time.time()))
        end_ms = time.time() * 1000
        orders = [
            Order(sender=str(line["key"]), at_ms=float(line["arrived_venue_ms"]))
            for line in lab.pair.requests()
            if line["method"] == "POST" and line["outcome"] == "accepted"
        ]
        found = judge_senders(orders, fault_ms=fault_ms, end_ms=end_ms)
        _judge(lab)
    return trial_of(SYSTEM, fault, ttl_s, run, load, found)


def _judge(lab: Lab) -> None:
    """Let the logs testify: nothing doubled, nothing lost."""
    lab.net.heal()
    lab.net.clear()
    for name, host in lab.net.hosts.items():
        if not host.is_powered:
            lab.plug(name)
    lab.pair.judge()

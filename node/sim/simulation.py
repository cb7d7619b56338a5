"""One run from one seed: a pair of production nodes through storms and calms.

A run alternates storms, in which faults strike, and calms, after which somebody must trade and
the books must agree. It ends with a long calm, after which every epoch must have been announced.
"""

import decimal
import gc
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from node.config_model import Config
from node.logs import events_to
from node.runtime import Runtime
from node.sim.box import Box
from node.sim.channel import Phone
from node.sim.cluster import PI, make_config, strategy_of
from node.sim.copies import Copies
from node.sim.edges import SimEdges
from node.sim.faults import Faults
from node.sim.market import SimExchange
from node.sim.network import Weather, Wire
from node.sim.person import Person
from node.sim.process import SimProcess
from node.sim.promise_watch import PromiseWatch
from node.sim.reboot import Reboot
from node.sim.settling import Settling
from node.sim.stander import Stander
from node.sim.stores import SimStore
from node.sim.targets import Targets
from node.sim.watching import Watching
from node.sim.world import Entry, World
from node.wiring import build_runtime

STORM_S = 240.0
# After this long of calm somebody must trade. The longest chain that was ever seen: a process
# that is restarted after a hang, a venue check that fails once, two lost elections.
LIVE_S = 75.0
STILL_S = 45.0  # the price stands still; longer than two regular looks at the venue
# A candle may close meanwhile: what is filled at its arrival is learnt in the next regular look.
LOOK_S = 20.0
LAST_CALM_S = 420.0  # the alerts' longest rest after failures is 300 s
FAULT_EVERY_S = 8.0
HOUR_S = 3600.0
TIDY_S, TIDY_WELL_S = 600, 6000  # how often, in simulated time, garbage is collected


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is run.

    `hours` is simulated time, in whole storms and calms, at least one of each. `only` names the
    faults that may strike; empty for all of them. `is_strict`: see settling.py. `strategy`: see
    cluster.py; empty for the seed's own.
    """

    seed: int
    hours: float = 1.0
    stores: int = 3
    fault_every_s: float = FAULT_EVERY_S
    has_storms: bool = True
    only: tuple[str, ...] = ()
    is_strict: bool = False
    strategy: str = ""


@dataclass(slots=True, kw_only=True)
class Report:
    """What a run showed."""

    plan: Plan
    violations: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    simulated_s: float = 0.0
    took_s: float = 0.0
    events: int = 0
    led_s: float = 0.0
    digest: str = ""
    timeline: list[Entry] = field(default_factory=list)


BuildNode = Callable[[Config, str, SimEdges], Runtime]


class Simulation:
    """A pair, its stores, the venue, the phone and a person, in one world."""

    def __init__(self, plan: Plan, *, build: BuildNode = build_runtime) -> None:
        """Put everything in its place; nothing runs yet."""
        self.plan = plan
        self.world = World(plan.seed)
        world = self.world
        self.config = make_config(plan.stores, plan.strategy or strategy_of(plan.seed))
        self.weather, self.venue_weather = Weather(), Weather()
        names = [store.name for store in self.config.stores]
        self.stores = [SimStore(name, now_s=lambda: world.now) for name in names]
        self.exchange = SimExchange(world)
        self.phone = Phone(world)
        copies = Copies(world, stores=plan.stores)
        self.watching = Watching(world, self.exchange, copies)
        for store in self.stores:
            store.on_ledger = copies.note_ledger
        self.exchange.on_arrival = self.watching.note_arrival
        self._build = build
        self._was_started = False
        self.boxes = [
            Box(
                world,
                name,
                stores=self.stores,
                weather=self.weather,
                venue_weather=self.venue_weather,
                build=self._build_node,
                watching=self.watching,
            )
            for name in self.config.nodes
        ]
        self.watching.boxes = self.boxes
        one, other = self.boxes
        one.join(other, Wire(world, self.weather, f"{one.name}-{other.name}"))
        # The laptop runs no node; its own cables are never cut.
        laptop = Box(
            world,
            "laptop",
            stores=self.stores,
            weather=Weather(),
            venue_weather=Weather(),
            build=self._build_node,
            watching=self.watching,
        )
        wires = {
            store.name: Wire(world, Weather(), f"laptop-{store.name}") for store in self.stores
        }
        self.person = Person(SimProcess(world, laptop, "person"), wires, self.watching, self.boxes)
        self.stander = Stander(self.person.process, self.config, (one, other))
        self.promises = PromiseWatch(world, self.boxes, ttl_s=self.config.timing().ttl_ms / 1000)
        self.watching.check_leader = self.promises.check_leader
        homes = {box.name: [s for s in self.stores if s.name == box.name] for box in self.boxes}
        self.faults = Faults(
            Targets(world, boxes=self.boxes, stores=self.stores, homes=homes),
            self.weather,
            self.venue_weather,
            exchange=self.exchange,
            phone=self.phone,
            person=self.person,
            watching=self.watching,
            stander=self.stander,
            only=plan.only,
        )
        self.settling = Settling(
            world, self.watching, self.exchange, self.phone, is_strict=plan.is_strict
        )
        self.led_s = 0.0
        self._seconds = 0

    def _build_node(self, process: SimProcess) -> Runtime:
        edges = SimEdges(
            process,
            self.config,
            exchange=self.exchange,
            phone=self.phone,
            is_marked_new=lambda: True,  # the marker of `nodectl init` stays where it is
        )
        return self._build(self.config, process.box.name, edges)

    def run(self) -> Report:
        """Run to the end or to the first violation."""
        with _undisturbed():
            return self._run()

    def _run(self) -> Report:
        world, plan = self.world, self.plan
        began_s = time.process_time()
        try:
            with events_to(self.watching.hear):
                self._play()
            return Report(
                plan=plan,
                violations=list(world.violations),
                counts=Counter(world.counts),
                simulated_s=world.now,
                took_s=time.process_time() - began_s,
                events=world.events,
                led_s=self.led_s,
                digest=world.digest(),
                timeline=list(world.timeline),
            )
        finally:
            with events_to(lambda _name, _fields: None):
                self._bury()

    def _play(self) -> None:
        world, plan, faults = self.world, self.plan, self.faults
        for box in self.boxes:
            world.after(world.rng.uniform(0, 3), box.start)
        world.after(1.0, self._second)
        end_s = plan.hours * HOUR_S
        faults.begin_calm()
        self._calm()
        while world.now < end_s and not world.violations:
            if plan.has_storms:
                faults.begin_storm(plan.fault_every_s)
            world.run_until(world.now + STORM_S * world.rng.uniform(0.5, 1.5))
            if plan.has_storms:
                faults.begin_calm()
            self._calm()
        world.run_until(world.now + LAST_CALM_S)
        if not world.violations:
            self.settling.check_announcements()

    def _calm(self) -> None:
        world, exchange = self.world, self.exchange
        has_scene = self.plan.has_storms and not self.plan.only and len(self.stores) == 1
        world.run_until(world.now + LIVE_S)
        if world.violations:
            return
        self.settling.check_trading(LIVE_S)
        if has_scene:
            Reboot(world, self.watching, self.stander, self.stores[0], home=PI).play()
        if world.violations:
            return
        exchange.is_still = True
        world.run_until(world.now + STILL_S)
        world.run_until(max(world.now, exchange.last_arrival_s + LOOK_S))
        if not world.violations:
            self.settling.check_trading(LIVE_S + STILL_S)
            self.settling.check_books()
            self.settling.check_loss_latch()
        exchange.is_still = False

    def _second(self) -> None:
        """Once a second: what is looked at from outside."""
        self.watching.check_latches()
        self.watching.loss.look(self.boxes)
        self.person.look()
        self.promises.look()
        if self.watching.active() is not None:
            self.led_s += 1.0
        self._seconds += 1
        if self._seconds % TIDY_S == 0:
            gc.collect(0 if self._seconds % TIDY_WELL_S else 1)
        self.world.after(1.0, self._second)

    def _bury(self) -> None:
        """End what the dead left behind, in silence: their `finally` blocks act on nothing."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of what was never awaited
            self._close_all()

    def _close_all(self) -> None:
        hook = sys.unraisablehook
        sys.unraisablehook = lambda _: None
        try:
            for box in self.boxes:
                if box.living is not None:
                    box.living.on_end = lambda _why: None
                    box.living.kill("the run is over")
                for process in box.processes:
                    for task in process.graveyard:
                        task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001
                        _close(task.get_coro())
                    process.graveyard.clear()
        finally:
            sys.unraisablehook = hook


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let nothing that this process did before change what a run does.

    Garbage is collected when simulated time says so: how much a process had allocated before
    would else decide when a finaliser runs. What was loaded before is not looked through.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    gc.freeze()
    try:
        with decimal.localcontext(decimal.DefaultContext):
            yield
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()


def _close(coroutine: Any) -> None:
    try:
        coroutine.close()
    except (RuntimeError, ValueError):
        return  # it wanted to wait in a `finally` block; nothing runs any more

"""One simulated box: clocks, a disk, cables, the kernel's fence, and its processes in turn."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, cast

from election.model import StoreName
from exchange.model import OrderIntent
from node.post_mortem import Autopsy, Supervisor
from node.runtime import Runtime
from node.sim.cable import Way
from node.sim.clocks import EPOCH_S, BoxClock
from node.sim.disk import SimDisk
from node.sim.hook import note_autopsy, post_mortem, run_hook
from node.sim.network import Weather, Wire
from node.sim.process import SimProcess
from node.sim.stores import SimStore
from node.sim.watching import Watching
from node.sim.world import World

if TYPE_CHECKING:
    from asyncio import Task

RESTART_S = (0.5, 6.0)  # what a supervisor takes, with the interpreter's own start
REFUSED = 1  # exit code of a start without the claim
RAW_ERROR = 0.0008  # below the 1000 ppm that the venue's clock allows for


class BuildNode(Protocol):
    """Who builds a node in a new process of a box."""

    def __call__(self, process: SimProcess) -> Runtime:
        """Return the node; called within the process's own loop."""
        ...


class SimFence:
    """Kills its process at an instant of CLOCK_BOOTTIME, paused or not (`election.ports.Fence`)."""

    def __init__(
        self, process: SimProcess, on_fire: Callable[[SimProcess], None] = lambda _: None
    ) -> None:
        """Not armed; `on_fire` is told just before it kills."""
        self._process, self._world, self._on_fire = process, process.world, on_fire
        self._at_boot_s: float | None = None

    def arm(self, boottime_s: float) -> None:
        """Set or move the instant."""
        self._at_boot_s = boottime_s
        self._watch(boottime_s)

    def _watch(self, wanted_s: float) -> None:
        at_s = self._process.box.clock.true_s_of_boot(wanted_s)
        self._world.at(max(at_s, self._world.now), lambda: self._fire(wanted_s))

    def _fire(self, wanted_s: float) -> None:
        if self._at_boot_s != wanted_s or not self._process.is_alive:
            return
        if self._process.box.clock.boot_s() < wanted_s - 1e-9:
            self._watch(wanted_s)  # the clock was bent meanwhile
            return
        self._world.count("fence kill")
        self._on_fire(self._process)
        self._process.kill("ended by the kernel fence")

    def disarm(self) -> None:
        """Take the timer away."""
        self._at_boot_s = None


class Box:
    """A machine that runs one node process after another."""

    def __init__(
        self,
        world: World,
        name: str,
        *,
        stores: Sequence[SimStore],
        weather: Weather,
        venue_weather: Weather,
        build: BuildNode,
        watching: Watching,
    ) -> None:
        """Plug it in; `start` begins the first process."""
        rng = world.rng
        self.world, self.name, self.stores = world, name, tuple(stores)
        self.watching = watching
        self.clock = BoxClock(
            world, raw_rate=1 + rng.uniform(-RAW_ERROR, RAW_ERROR), born_s=rng.uniform(5, 1000)
        )
        self.disk = SimDisk(world)
        self.disk.on_journal = watching.note_journalled
        self.wires: Mapping[StoreName, Wire] = {
            store.name: Wire(world, weather, f"{name}-{store.name}") for store in stores
        }
        self.venue_wire = Wire(world, venue_weather, f"{name}-venue")
        self.temperature_c = 50.0
        self.cable: Wire | None = None  # to the other box
        self.neighbour: Box | None = None
        self._is_far_end = False
        self.boot_id = f"{name}-boot-1"
        self.hook: SimProcess | None = None
        self.hook_dies_after_s: float | None = None  # of the next one
        self._claimed_by: SimProcess | None = None
        self._boots = 1
        self.process: SimProcess | None = None
        self.runtime: Runtime | None = None
        self.is_off = False
        self.asleep_until_s = 0.0
        self.processes: list[SimProcess] = []
        self._build = build
        self._lives = 0

    @property
    def living(self) -> SimProcess | None:
        """The process that runs now, if one does."""
        process = self.process
        return process if process is not None and process.is_alive else None

    @property
    def in_words(self) -> str:
        """What its node does now, and why it does not contend."""
        if self.living is None or self.runtime is None:
            return "gone"
        reasons = "; ".join(self.runtime.health.reasons)
        return f"{self.runtime.desk.role.value} {reasons}".strip()

    def join(self, other: "Box", cable: Wire) -> None:
        """Plug in the cable to the other box; there is from here to there."""
        self.neighbour, self.cable = other, cable
        other.neighbour, other.cable, other._is_far_end = self, cable, True  # noqa: SLF001

    def way_to_peer(self, process: SimProcess) -> Way | None:
        """Return how a process here asks the other box; None without a cable."""
        if self.cable is None or self.neighbour is None:
            return None
        return Way(process, self.cable, self.neighbour, is_backward=self._is_far_end)

    def start(self) -> None:
        """Begin another process, unless one runs or the box has no power."""
        if self.living is not None or self.is_off or self.is_mourning:
            return  # a supervisor starts nothing while its stop hook runs
        if self.clock.is_asleep:
            self.world.at(self.asleep_until_s, self.start)
            return
        self._lives += 1
        process = SimProcess(self.world, self, f"{self.name}.{self._lives}")
        process.on_end = self._ended
        self.process, self.runtime = process, None
        self.processes.append(process)
        self.world.note(process.name, "process started")
        process.run(lambda: self._run(process))

    def _run(self, process: SimProcess) -> None:
        async def main() -> int:
            if not self.claim(process):
                return REFUSED
            # The claim is this process's: whoever held a grant here is dead, hook or no hook.
            autopsy = await process.loop.run_in_executor(
                None, lambda: post_mortem(process, Supervisor())
            )
            note_autopsy(process, cast("Autopsy", autopsy))
            self.runtime = self._build(process)
            return await self.runtime.run()

        task = process.loop.create_task(main(), name="node")
        task.add_done_callback(lambda done: self._finished(process, done))

    def _finished(self, process: SimProcess, task: "Task[int]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.watching.crashed(process, error)
        why = f"exit code {task.result()}" if error is None else f"crashed: {error}"
        process.kill(why)

    def _ended(self, why: str) -> None:
        assert self.process is not None
        self.process.endpoint = None
        self.world.note(self.process.name, "process ended", why=why)
        if not self.is_off:
            self.mourn(why)

    # --- the stop hook -------------------------------------------------------------------------

    @property
    def is_mourning(self) -> bool:
        """True while the stop hook runs."""
        return self.hook is not None and self.hook.is_alive

    def claim(self, process: SimProcess) -> bool:
        """Take the flock on the state directory; False while another living process has it."""
        holder = self._claimed_by
        if holder is not None and holder is not process and holder.is_alive:
            return False
        self._claimed_by = process
        return True

    def mourn(self, why: str) -> None:
        """Run the stop hook; what it follows is started again when it has ended."""
        assert self.process is not None
        self.hook = hook = SimProcess(self.world, self, f"{self.process.name}.hook")
        hook.on_end = lambda _why: self.world.after(self.world.rng.uniform(*RESTART_S), self.start)
        run_hook(self, hook, why)

    def start_beside(self) -> None:
        """Start a second process while one lives: it is refused, and has a stop hook too."""
        assert self.process is not None
        run_hook(self, SimProcess(self.world, self, f"{self.process.name}.second"), "refused")

    def mend(self) -> None:
        """Let cables, disk, clock and power be as they should be."""
        cables = () if self.cable is None else (self.cable,)
        for wire in (*self.wires.values(), self.venue_wire, *cables):
            wire.cut_there_until_s = wire.cut_back_until_s = wire.slow_until_s = 0.0
        self.disk.stalled_until_s = self.disk.failing_until_s = 0.0
        self.temperature_c = 50.0
        self.clock.slew(self.clock.raw_rate)  # what NTP had to correct is corrected
        if self.living is not None:
            self.living.kill_soon(0)
        self.get_power()
        self.start()

    def suspend(self, seconds: float) -> None:
        """Let nothing run for a while, nor two of the clocks."""
        world, clock = self.world, self.clock
        self.asleep_until_s = max(self.asleep_until_s, world.now + seconds)
        clock.fall_asleep()

        def wake_up() -> None:
            if world.now >= self.asleep_until_s:
                clock.wake_up()

        world.at(self.asleep_until_s, wake_up)  # before the process goes on
        if self.living is not None:
            self.living.pause(self.asleep_until_s - world.now)

    def lose_power(self) -> None:
        """Everything on it ends at once."""
        self.is_off = True
        if self.hook is not None:
            self.hook.kill("power cut")
        if self.living is not None:
            self.living.kill("power cut")

    def get_power(self) -> None:
        """Boot: all clocks begin anew, and the wall clock is wrong until NTP has answered."""
        if not self.is_off:
            return
        world = self.world
        born_s = world.rng.uniform(8, 25)
        self.clock = BoxClock(world, raw_rate=self.clock.raw_rate, born_s=born_s)
        self._boots += 1
        self.boot_id = f"{self.name}-boot-{self._boots}"
        clock = self.clock
        clock.wall_offset_s -= world.rng.uniform(0, 600)

        def synchronise() -> None:
            clock.wall_offset_s = EPOCH_S + world.now - clock.boot_s()

        world.after(world.rng.uniform(3, 30), synchronise)
        self.is_off = False
        world.after(world.rng.uniform(*RESTART_S), self.start)

    # --- what its process tells ----------------------------------------------------------------

    def check_gates(self, process: SimProcess) -> None:
        """A turn of the heartbeat ended: the gate may have moved."""
        self.watching.check_gates(process)

    def note_send(self, process: SimProcess, epoch: int, intent: OrderIntent | None) -> None:
        """A request that changes something leaves now: an order, or a cancel (None)."""
        self.watching.note_send(process, epoch, intent)

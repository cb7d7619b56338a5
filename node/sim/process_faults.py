"""What ends, stops or moves a node process: kills at every moment, pauses, hangs, orderly ends."""

from functools import partial

from node.sim.process import SimProcess
from node.sim.surroundings import long_s
from node.sim.targets import Targets
from node.sim.watching import Watching


class ProcessFaults:
    """Faults of processes."""

    def __init__(self, targets: Targets, watching: Watching) -> None:
        """Bind what can be struck, and who tells of the next write."""
        self._targets, self._world = targets, targets.world
        self._watching = watching

    def kill(self) -> None:
        """SIGKILL, or the kernel's out-of-memory killer."""
        if process := self._targets.process():
            self._targets.note("kill", of=process.name)
            process.kill("killed")

    def kill_within(self) -> None:
        """The same in the middle of what it does next."""
        if process := self._targets.process():
            self._targets.note("kill within the next steps", of=process.name)
            process.kill_soon(self._world.rng.randrange(1, 60))

    def kill_in_flight(self) -> None:
        """The same while the next request to the venue is under way, or just before it leaves."""
        delay_s = self._world.rng.uniform(0, 0.06)
        self._targets.note("kill with the next write in flight")

        def strike(process: SimProcess) -> None:
            self._world.count("killed with a write in flight")
            self._world.after(delay_s, partial(process.kill, "killed"))

        self._watching.on_next_send = strike

    def crash(self) -> None:
        """Both processes at once."""
        for box in self._targets.boxes:
            if box.living:
                self._targets.note("kill", of=box.living.name)
                box.living.kill("killed")

    def pause(self) -> None:
        """SIGSTOP, swapping, a starved virtual machine."""
        if process := self._targets.process():
            seconds = long_s(self._world)
            self._targets.note("pause", of=process.name, seconds=round(seconds, 1))
            process.pause(seconds)

    def hang(self) -> None:
        """The work loop does nothing, the heartbeat's threads go on."""
        if process := self._targets.process():
            seconds = long_s(self._world)
            self._targets.note("hang of the work loop", of=process.name, seconds=round(seconds, 1))
            process.hang(seconds)

    def stop_orderly(self) -> None:
        """SIGTERM: an update, a restart of the service."""
        box = self._targets.box()
        process, runtime = box.living, box.runtime
        if process is None or runtime is None:
            return
        self._targets.note("SIGTERM", to=process.name)
        process.run(partial(runtime.ask_to_stop, "SIGTERM was received"))

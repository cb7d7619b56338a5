"""What ends, stops or moves a node process: kills at every moment, pauses, hangs, orderly ends."""

from functools import partial

from node.sim.surroundings import long_s
from node.sim.targets import Targets


class ProcessFaults:
    """Faults of processes."""

    def __init__(self, targets: Targets) -> None:
        """Bind what can be struck."""
        self._targets, self._world = targets, targets.world

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

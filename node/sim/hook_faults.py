"""What goes wrong around a death: stop hooks that are killed, and starts beside a living node."""

from collections.abc import Callable

from node.sim.targets import Targets

HOOK_S = 0.9  # of which the interpreter's start takes more than half


class HookFaults:
    """Faults of supervisors and their hooks."""

    def __init__(self, targets: Targets) -> None:
        """Bind what can be struck."""
        self._targets = targets

    @property
    def kinds(self) -> tuple[Callable[[], None], ...]:
        """What may strike."""
        return (self.kill_stop_hook, self.start_twice)

    def kill_stop_hook(self) -> None:
        """The leader dies, and its stop hook at any point after that."""
        box = self._targets.box()
        box.hook_dies_after_s = self._targets.world.rng.uniform(0, HOOK_S)
        if box.living is not None:
            self._targets.note("kill, and the stop hook too", of=box.living.name)
            box.living.kill("killed")

    def start_twice(self) -> None:
        """A second start beside a living node is refused; its stop hook must release nothing."""
        box = self._targets.box()
        if box.living is not None:
            self._targets.note("second start", box=box.name)
            box.start_beside()

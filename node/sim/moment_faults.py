"""What waits for a bad moment: a write that is under way, an order that is late, a slow journal.

Blind chance hits such a moment about once in a thousand storms; the rules that are for them
(intents before the send, two reads for absence, fenced journal writes) would go untried.
"""

from collections.abc import Callable
from functools import partial

from node.sim.market import SimExchange
from node.sim.process import SimProcess
from node.sim.targets import Targets, leads
from node.sim.watching import Watching

# How long a venue shows its newest late after a late order: longer than an outcome stays unknown.
LAG_S = 10.0
# A connection's lost segments are sent again for a few seconds at first.
STALL_S = (1.0, 5.0)


class MomentFaults:
    """Faults at the moment for which a rule was made."""

    def __init__(
        self,
        targets: Targets,
        *,
        watching: Watching,
        exchange: SimExchange,
        switchover: Callable[[], None],
    ) -> None:
        """Bind what can be struck, who tells of the next write, and how a lease moves."""
        self._targets, self._world = targets, targets.world
        self._watching, self._exchange, self._switchover = watching, exchange, switchover

    def kill_in_flight(self) -> None:
        """SIGKILL while the next request to the venue is under way, or just before it leaves."""
        delay_s = self._world.rng.uniform(0, 0.06)
        self._targets.note("kill with the next write in flight")

        def strike(process: SimProcess) -> None:
            self._world.count("killed with a write in flight")
            self._world.after(delay_s, partial(process.kill, "killed"))

        self._watching.on_next_send = strike

    def kill_at_takeover(self) -> None:
        """SIGKILL once the next takeover is on its node's disk: before it is told, or after."""
        delay_s = self._world.rng.uniform(0, 0.03)
        self._targets.note("kill at the next takeover")

        def strike(process: SimProcess) -> None:
            self._world.count("killed at a takeover")
            self._world.after(delay_s, partial(process.kill, "killed"))

        self._watching.on_next_takeover = strike

    def late_order(self) -> None:
        """The next order arrives when the venue just still takes it, and is shown late."""
        self._targets.note("the next order is late")
        self._exchange.holds_next_order = True
        self._exchange.lagging_until_s = self._world.now + LAG_S

    def slow_journal(self) -> None:
        """The leader's connections for the journal stall, perhaps while the lease moves."""
        rng, world = self._world.rng, self._world
        for box in self._targets.boxes:
            if box.living and box.runtime is not None and leads(box):
                seconds = rng.uniform(*STALL_S)
                self._targets.note("journal stalls", of=box.name, seconds=round(seconds, 1))
                box.living.journal_stalled_until_s = world.now + seconds
                if rng.random() < 0.5:  # noqa: PLR2004  (and the old holder's writes are late)
                    world.after(rng.uniform(0, seconds), self._switchover)

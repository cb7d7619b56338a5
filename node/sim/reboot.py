"""In a calm: what `nodectl stand-down` is for, from its giving to its end, each step checked.

Nothing else goes wrong meanwhile, so that every second counts: the leader must trade on without
the store, a promise must be taken back when the store is there, and a leader that dies must leave
nobody trading until a person says so, and somebody soon after that.
"""

from typing import TYPE_CHECKING

from election.promise import PromiseState
from node.peer_desk import DONE
from node.sim.stander import Stander
from node.sim.stores import SimStore
from node.sim.watching import Watching
from node.sim.world import World

if TYPE_CHECKING:
    from node.sim.box import Box

ASKED_S = 15.0  # the command's own limit, and a little
AWAY_S = (15, 60)
BACK_S = 60.0  # a boot, a start, and one round of asking to be let off
# One lease and a takeover: nothing else is in the way.
FORCED_S = 60.0


class Reboot:
    """Plays one of three scenes with a pair that is well and has one store."""

    def __init__(
        self, world: World, watching: Watching, stander: Stander, store: SimStore, *, home: str
    ) -> None:
        """Bind the pair; `home` is the box on which the store runs."""
        self._world, self._watching, self._stander = world, watching, stander
        self._store, self._home = store, home

    def play(self) -> None:
        """Play one scene to its end, or to the first violation."""
        leader = self._watching.active()
        standby = None if leader is None else leader.neighbour
        if leader is None or standby is None or not self._give(standby):
            return
        dice = self._world.rng.random()
        if dice < 0.2:  # noqa: PLR2004
            self._take_back(standby)
        elif dice < 0.5 and leader.name != self._home:  # noqa: PLR2004
            self._lose_leader(leader, standby)
        else:
            self._reboot(leader, standby)

    def _give(self, standby: "Box") -> bool:
        said: list[tuple[str, str]] = []
        self._stander.begin(standby, lambda code, text: said.append((code, text)))
        self._pass(ASKED_S)
        if not said or said[0][0] != DONE:
            self._world.violate("a stand-down in a calm was not given", said=said)
        return not self._world.violations

    def _take_back(self, standby: "Box") -> None:
        said: list[tuple[str, str]] = []
        self._stander.end(standby, lambda code, text: said.append((code, text)))
        self._pass(ASKED_S)
        if not said or said[0][0] != DONE:
            self._world.violate("a stand-down in a calm was not taken back", said=said)

    def _reboot(self, leader: "Box", standby: "Box") -> None:
        world, store = self._world, self._store
        seconds = world.rng.randint(*AWAY_S)
        world.note("person", "reboots a box and the store", box=standby.name, seconds=seconds)
        standby.lose_power()
        store.set_down(is_down=True)
        for _ in range(seconds):
            self._pass(1.0)
            self._check_led_by(leader, "without the store, although the other node stood down")
        store.restart(keep=world.rng.random() < 0.5)  # noqa: PLR2004
        store.set_down(is_down=False)
        standby.get_power()
        for _ in range(int(BACK_S)):
            self._pass(1.0)
            self._check_led_by(leader, "when the store came back")
        state = standby.disk.promise.state
        if state is not PromiseState.NONE and not world.violations:
            world.violate("a promise outlives the reboot that it was given for", state=state.value)
        world.count("reboot without a gap")

    def _lose_leader(self, leader: "Box", standby: "Box") -> None:
        world = self._world
        world.note("person", "pulls the plug of the leader", box=leader.name)
        leader.lose_power()
        self._pass(world.rng.uniform(5, 40))
        self._stander.force(standby)
        self._pass(FORCED_S)
        self._check_led_by(standby, "after a person ended the promise")
        world.count("led after a forced end")
        leader.get_power()
        self._pass(BACK_S)

    def _check_led_by(self, box: "Box", when: str) -> None:
        if self._watching.active() is not box and not self._world.violations:
            self._world.violate(f"nobody trades {when}", box=f"{box.name} {box.in_words}")

    def _pass(self, seconds: float) -> None:
        self._world.run_until(self._world.now + seconds)

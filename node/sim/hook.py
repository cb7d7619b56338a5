"""The supervisor's stop hook on a simulated box: the claim first, then the production post mortem.

Rules of this file: a hook is a process of its own, which may be killed at any point; it does
nothing while another process has the claim. The next start does the same before it builds a node.
"""

from functools import partial
from typing import TYPE_CHECKING, cast

from node.post_mortem import Autopsy, Remains, Supervisor, examine_walk
from node.sim.notes import SimRemains
from node.sim.process import SimProcess
from node.sim.walking import start_walk

if TYPE_CHECKING:
    from node.sim.box import Box
    from node.sim.loop import Deferred

STARTS_S = (0.05, 0.6)  # an interpreter on a small board


def supervisor_of(why: str) -> Supervisor:
    """Return what systemd would say about an end."""
    if why == "exit code 0":
        return Supervisor(result="success", code="exited", status="0")
    if why.startswith(("exit code", "crashed", "refused")):
        return Supervisor(result="exit-code", code="exited", status="1")
    return Supervisor(result="signal", code="killed", status="KILL")


def post_mortem(process: SimProcess, supervisor: Supervisor) -> "Deferred[Autopsy]":
    """Let a process that has the claim release what the one before it held."""
    remains = cast("Remains", SimRemains(process))  # its calls return a Deferred
    return start_walk(examine_walk(remains, supervisor))


def run_hook(box: "Box", process: SimProcess, why: str) -> None:
    """Do what `nodectl release --after-crash` does, and end the process of the hook."""
    world = box.world

    def told(autopsy: Autopsy | None, error: BaseException | None) -> None:
        if autopsy is None:
            world.violate("the stop hook stumbled", error=repr(error))
        else:
            note_autopsy(process, autopsy)
        process.kill("done")

    def begin() -> None:
        if not box.claim(process):
            world.count("post mortem refused by the claim")
            process.kill("nothing released: another process has the claim")
            return
        post_mortem(process, supervisor_of(why)).then(told)

    if box.hook_dies_after_s is not None:
        world.count("stop hook killed")
        world.after(box.hook_dies_after_s, partial(process.kill, "killed"))
        box.hook_dies_after_s = None
    world.after(world.rng.uniform(*STARTS_S), lambda: process.run(begin))


def note_autopsy(process: SimProcess, autopsy: Autopsy) -> None:
    """Write into the timeline what was done."""
    world = process.world
    if autopsy.left is None:
        return
    stores = "; ".join(f"{e.store}: {e.said}" for e in autopsy.epitaphs)
    world.note(
        process.name,
        "post mortem",
        epoch=autopsy.left.epoch,
        drain_ms=autopsy.drain_ms,
        why=autopsy.drain_reason,
        stores=stores,
    )
    if any(e.is_released for e in autopsy.epitaphs):
        world.count("post mortem released")
        world.count("post mortem with a drain" if autopsy.drain_ms else "post mortem without drain")
    elif autopsy.is_released:
        world.count("post mortem found nothing left")
    else:
        world.count("post mortem not released")

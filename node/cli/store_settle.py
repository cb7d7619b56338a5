"""`nodectl stores settle`: what a pair that grows to three stores needs said and moved (R3).

Rules of this file: asked again it goes on from where the pair stands (node/growing.py); a step
that is refused changes nothing. Nothing here pauses anybody.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from election.errors import StoreUnreachable
from election.peek import ClusterPeek, merged_control, merged_members
from election.redis_control import ControlBoard
from node.cli.common import look, wall_ms, who_asks
from node.cli.decide import EFFECT_S, wait_for
from node.cli.store_move import UNDONE
from node.cli.store_record import id_in, move_record, open_mover
from node.config import Config
from node.config_model import StoreConfig
from node.errors import CommandRefused
from node.growing import Growth, growth_of, next_step, refuse_telling
from node.latches import STORES, merge_latches
from node.replacing import keeps
from node.secrets import Secrets
from node.store_addresses import store_addresses

REASON = "the pair grows to three stores"


@dataclass(slots=True)
class Settled:
    """What was done; `next_step` is what a person does now, empty when the pair has three stores.

    `told` are the nodes that keep on disk that the new list counts, `moved` the stores whose record
    is under it.
    """

    told: tuple[str, ...] = ()
    moved: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    next_step: str = ""


def settle_list(config: Config, secrets: Secrets) -> Settled:
    """Do what the pair is ready for.

    Raises:
        CommandRefused: it does not grow, something stands against it, or it was not finished
            (exit code 3): say it again.
    """
    growth, seen = _stand(config, secrets)
    refusal = refuse_telling(growth, seen)
    if refusal:
        raise CommandRefused(refusal, mend=next_step(growth, tuple(config.nodes)))
    done = Settled()
    if not growth.is_told:
        _put(config, secrets, growth, is_announced=False)
    done.told = _wait_told(config, secrets)
    growth, _ = _stand(config, secrets)
    is_over = not (growth.joint or growth.behind)
    old = () if is_over else growth.change.old  # a node still needs it under its old list
    _move(config, secrets, [s for s in config.stores if s not in old], growth, done)
    if not is_over:
        done.next_step = next_step(growth, tuple(config.nodes))
    elif done.problems:
        done.next_step = "mend that and say it again: nodectl stores settle"
    elif not growth.is_announced:
        _put(config, secrets, growth, is_announced=True)
    return done


def _stand(config: Config, secrets: Secrets) -> tuple[Growth, ClusterPeek]:
    seen = look(config, secrets)
    latches, _ = merge_latches(merged_control(seen), is_first_start_allowed=False)
    members = {str(n): m for n, m in merged_members(seen).items()}
    growth = growth_of(config, latches, members)
    if growth is None:
        raise CommandRefused(
            "this cluster.toml says nothing of a pair that grows from one store to three",
            mend="make deploy-witness does the whole of it; by hand see docs/replacing-a-store.md",
        )
    return growth, seen


def _put(config: Config, secrets: Secrets, growth: Growth, *, is_announced: bool) -> None:
    """Say that the new list counts, where both nodes read it."""
    board = ControlBoard(
        store_addresses(config, secrets), config.cluster_id, config.lease.request_timeout_ms
    )
    try:
        value = growth.record_value(is_announced=is_announced)
        put = board.put(STORES, value, who_asks(), wall_ms(), REASON)
    finally:
        board.close()
    if not put.is_majority:
        said = "; ".join(f"{name}: {why}" for name, why in put.problems.items())
        raise _undone(f"too few stores took it: {said}")


def _wait_told(config: Config, secrets: Secrets) -> tuple[str, ...]:
    """Wait until every node keeps the decision on its own disk; return them."""
    told: tuple[str, ...] = ()

    def is_told(seen: ClusterPeek) -> bool:
        nonlocal told
        record = merged_control(seen).get(STORES)
        members = {str(n): m for n, m in merged_members(seen).items()}
        told = () if record is None else tuple(n for n in config.nodes if keeps(record, members, n))
        return len(told) == len(config.nodes)

    if not wait_for(config, secrets, is_told, timeout_s=EFFECT_S):
        missing = ", ".join(n for n in config.nodes if n not in told)
        raise _undone(f"waited {EFFECT_S:g} s for {missing} to keep it on disk")
    return told


def _move(
    config: Config,
    secrets: Secrets,
    stores: Sequence[StoreConfig],
    growth: Growth,
    done: Settled,
) -> None:
    """Give the new list each of these records: whichever list it has, no node uses that one."""
    new_id = growth.change.new_id
    for store in stores:
        with open_mover(config, secrets, store) as mover:
            try:
                present = id_in(mover, new_id)
                is_moved = present == new_id  # by a holder of the new list, who may write there
                problem = "" if is_moved else move_record(config, mover, present, new_id)
            except StoreUnreachable as error:
                problem = str(error)
        if problem:
            done.problems.append(problem if store.name in problem else f"{store.name}: {problem}")
        else:
            done.moved.append(store.name)


def _undone(text: str) -> CommandRefused:
    return CommandRefused(
        text, mend="the pair trades on; mend that and say it again", exit_code=UNDONE
    )

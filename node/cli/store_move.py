"""The walk of `nodectl stores replace`: one step after the other, each can be said again.

Rules of this file: it asks and tells stores; what may be done is judged in node/replacing.py. A
step that did not reach enough stores ends the walk with what is missing; nobody leads meanwhile.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from election.control_record import merge_controls
from election.errors import StoreUnreachable
from election.peek import ClusterPeek, merged_control, merged_members, peek
from election.redis_control import ControlBoard
from election.redis_move import StoreMover
from exchange.journal import merge
from node.cli.common import wall_ms, who_asks
from node.cli.store_record import POLL_S, move_record, open_mover
from node.config import Config
from node.config_model import StoreConfig
from node.errors import CommandRefused
from node.latches import STORES, merge_latches
from node.replacing import Change, acknowledged, highest_epoch, is_free, refuse_now
from node.secrets import Secrets
from node.store_addresses import address_of

EFFECT_S = 30.0  # nodes look each second; the leader drains before it gives the lease up
UNDONE = 3  # exit code: begun, not finished; say it again


@dataclass(slots=True)
class Report:
    """What was done, for people and programs."""

    change: Change
    told: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    ready: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    diff: str = ""
    is_written: bool = False


@dataclass(slots=True)
class Move:
    """One walk through the steps; each can be done again."""

    config: Config
    secrets: Secrets
    change: Change
    report: Report
    without: tuple[str, ...]

    def run(self) -> None:
        """Do every step. Raises CommandRefused."""
        seen = self._look(self.change.old)
        for store in self._look(self.change.added).stores:
            if store.error:
                raise CommandRefused(
                    f"the new store {store.name} does not answer: {store.error}",
                    mend="start it first",
                )
        latches, _ = merge_latches(merged_control(seen), is_first_start_allowed=False)
        members = {str(n): m for n, m in merged_members(seen).items()}
        refusal = refuse_now(
            self.change, seen, latches, members, tuple(self.config.nodes), self.without
        )
        if refusal:
            mend = "run `nodectl pause` first" if "not paused" in refusal else "mend that first"
            raise CommandRefused(refusal, mend=mend)
        self._tell_nodes(seen)
        self._wait(self._is_free, "nobody to hold the lease")
        self._close_old()
        self._carry(seen)

    # --- the steps ----------------------------------------------------------------------------

    def _tell_nodes(self, seen: ClusterPeek) -> None:
        """Write the decision where both nodes read it, and wait until their disks have it."""
        record = merged_control(seen).get(STORES)
        if record is None or record.value.get("config_id") != self.change.new_id:
            self._board(self.change.old, lambda b: b.put(
                STORES, self.change.record_value(), who_asks(), wall_ms(), "another store list"
            ))  # fmt: skip
        wanted = [n for n in self.config.nodes if n not in self.without]

        def is_told() -> bool:
            now = self._look(self.change.old)
            found = merged_control(now).get(STORES)
            members = {str(n): m for n, m in merged_members(now).items()}
            self.report.told = [] if found is None else sorted(acknowledged(found, members))
            return set(wanted) <= set(self.report.told)

        self._wait(is_told, f"{', '.join(wanted)} to keep the decision on disk")

    def _is_free(self) -> bool:
        return is_free(self._look(self.change.old))

    def _close_old(self) -> None:
        """Give a majority of the present stores the new list: the old one is refused there."""
        for store in self.change.old:
            with open_mover(self.config, self.secrets, store) as mover:
                if self._close_one(mover, store):
                    self.report.moved.append(store.name)
        needed = len(self.change.old) // 2 + 1
        if len(self.report.moved) < needed:
            raise self._undone(f"{len(self.report.moved)} of the present stores took it, {needed} "
                               "are needed")  # fmt: skip

    def _close_one(self, mover: StoreMover, store: StoreConfig) -> bool:
        problem = move_record(self.config, mover, self.change.old_id, self.change.new_id)
        if problem:
            self.report.problems.append(
                problem if store.name in problem else f"{store.name}: {problem}"
            )
        return not problem

    def _carry(self, seen: ClusterPeek) -> None:
        """Bring latches, journal and the highest epoch to the new list."""
        now = self._look(self.change.old)
        merged = merge([(s.name, s.documents) for s in (*seen.answered, *now.answered)])
        epoch = highest_epoch(seen, now, self._look(self.change.new))
        for store in self.change.new:
            with open_mover(self.config, self.secrets, store) as mover:
                if self._carry_one(mover, store, merged.journal.documents(), epoch):
                    self.report.ready.append(store.name)
        # By version: a second look that misses a store must not carry an older pause along.
        records = tuple(merge_controls([merged_control(seen), merged_control(now)]).values())
        self._board(self.change.new, lambda board: board.push(records))
        needed = len(self.change.new) // 2 + 1
        if len(self.report.ready) < needed:
            raise self._undone(f"{len(self.report.ready)} stores of the new list are ready, "
                               f"{needed} are needed")  # fmt: skip

    def _carry_one(
        self, mover: StoreMover, store: StoreConfig, documents: dict[str, str], epoch: int
    ) -> bool:
        try:
            self._close_one(mover, store)  # a server that was used before still has the old list
            seen = mover.observe(self.change.new_id)
            if seen.is_ok and seen.record is not None and seen.record.max_epoch < epoch:
                seen = mover.move(
                    seen,
                    old=self.change.new_id,
                    new=self.change.new_id,
                    max_epoch=epoch,
                    is_silent=False,
                )
            if not seen.is_ok:
                self.report.problems.append(f"{store.name}: {seen.detail or seen.refusal}")
                return False
            mover.carry(documents, config_id=self.change.new_id)
        except StoreUnreachable as error:
            self.report.problems.append(str(error))
            return False
        return True

    # --- asking stores ------------------------------------------------------------------------

    def _look(self, stores: Sequence[StoreConfig]) -> ClusterPeek:
        return peek(
            [address_of(store, self.secrets) for store in stores],
            cluster_id=self.config.cluster_id,
            timeout_s=self.config.lease.request_timeout_ms / 1000,
        )

    def _board(self, stores: Sequence[StoreConfig], act: Callable[[ControlBoard], Any]) -> None:
        board = ControlBoard(
            [address_of(store, self.secrets) for store in stores],
            self.config.cluster_id,
            self.config.lease.request_timeout_ms,
        )
        try:
            put = act(board)
        finally:
            board.close()
        if not put.is_majority:
            said = "; ".join(f"{name}: {why}" for name, why in put.problems.items())
            raise self._undone(f"no majority took the control records: {said}")

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        until_s = time.monotonic() + EFFECT_S
        while not condition():
            if time.monotonic() >= until_s:
                raise self._undone(f"waited {EFFECT_S:g} s for {what}")
            time.sleep(POLL_S)

    def _undone(self, text: str) -> CommandRefused:
        more = "".join(f"\n  {problem}" for problem in self.report.problems)
        return CommandRefused(
            text + more,
            mend="nobody leads meanwhile; mend that and say the same command again",
            exit_code=UNDONE,
        )

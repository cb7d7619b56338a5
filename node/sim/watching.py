"""The checkers that look at every moment: they know true time, and no node knows them.

Each method states one promise; a broken one ends the run. What is checked only when everything
had time to settle is in settling.py.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from exchange.identity import decode
from exchange.journal_codec import TAKEOVER
from exchange.model import OrderIntent, VenueOrder
from node.events import EVENTS
from node.role import Role
from node.sim.copies import Copies
from node.sim.loss_watch import LossWatch
from node.sim.market import Arrival, SimExchange
from node.sim.process import SimProcess
from node.sim.world import World

if TYPE_CHECKING:
    from node.sim.box import Box

# Log events that only our own bugs can cause.
BUGS = frozenset(
    {"node.crashed", "node.task_failed", "node.refused", "role.halted", "alert.sender_failed"}
)
# What the timeline keeps of the nodes' own log; the rest is counted only.
WELL_S = 2.5  # after a stop, or before the hang limit: a turn of the work loop takes its time
QUIET_EVENTS = frozenset({"plan.step", "strategy.decided", "alert.delivered", "alert.queued"})


class Watching:
    """Checks the promises that hold at every moment."""

    def __init__(self, world: World, exchange: SimExchange, copies: Copies) -> None:
        """Look at a world; `copies` knows what the journal's copies took."""
        self._world, self._exchange, self._copies = world, exchange, copies
        self.loss = LossWatch(world)
        self.boxes: Sequence[Box] = ()
        # Told of the next write that leaves, once: a fault that waits for it.
        self.on_next_send: Callable[[SimProcess], None] | None = None
        self.paused_since_s: float | None = None  # a person's pause that every box keeps
        self.check_leader: Callable[[SimProcess], None] = lambda _: None
        self._sent: tuple[int, str] = (0, "")
        self._accepted_epoch = 0
        self._ids: set[str] = set()
        self._drained: set[str] = set()  # dead processes of which nothing can come any more
        self.finished_epochs: dict[int, str] = {}
        self.announced_durably: set[int] = set()
        # Of each takeover that its node's own disk has: whose it was.
        self.journalled: dict[int, str] = {}
        # Told of the next takeover that is on disk, once: a fault that waits for it.
        self.on_next_takeover: Callable[[SimProcess], None] | None = None
        self._seen_latches: dict[str, dict[str, tuple[int, bool]]] = {}

    # --- S1: one trader ------------------------------------------------------------------------

    def check_gates(self, process: SimProcess) -> None:
        """Never two open permits; none opens while another's write is in flight."""
        permit = _permit(process)
        if permit is None or permit.remaining_s() <= 0:
            return
        self.check_leader(process)
        for box in self.boxes:
            other = box.living
            if other is None or other is process:
                continue
            others = _permit(other)
            if others is None:
                continue
            if others.remaining_s() > 0:
                self._world.violate(
                    "two open permits", epoch=permit.epoch, by=process.name, and_by=other.name
                )
            elif others.in_flight:
                self._world.violate(
                    "a permit is open while a write of another is in flight",
                    by=process.name,
                    of=other.name,
                )

    def note_send(self, process: SimProcess, epoch: int, intent: OrderIntent | None) -> None:
        """Under one epoch one process sends, and epochs only grow."""
        strike, self.on_next_send = self.on_next_send, None
        if strike is not None:
            strike(process)
        highest, name = self._sent
        self._world.count("write sent")
        if epoch < highest or (epoch == highest and name != process.name):
            self._world.violate(
                "a write left under an epoch that is not the newest",
                epoch=epoch,
                by=process.name,
                newest=highest,
                of=name,
            )
        self._sent = (epoch, process.name)
        permit = _permit(process)
        if permit is None or permit.epoch != epoch or permit.remaining_s() <= 0:
            self._world.violate("a write left without a permit", epoch=epoch, by=process.name)
        if any(box.living not in (None, process) and _is_open(box.living) for box in self.boxes):
            self._world.violate("a write left while another permit was open", by=process.name)
        if intent is not None:
            self._copies.check_intent(process, intent)
            self.loss.check_send(process, intent)

    def note_mourned(self, nonce: str, *, is_drained: bool) -> None:
        """Only a dead process's lease is released; drained means that nothing of it comes later."""
        name = nonce.rpartition("-")[0]
        if any(box.living is not None and box.living.name == name for box in self.boxes):
            self._world.violate("the lease of a living process was released", of=name)
        if is_drained:
            self._drained.add(name)

    def check_fence(self, process: SimProcess) -> None:
        """A work loop that is well ends its grant itself; the fence is for one that is not."""
        runtime, permit, now_s = process.box.runtime, _permit(process), self._world.now
        if runtime is None or permit is None or permit.in_flight:
            return
        stopped_s = max(process.paused_until_s, process.hung_until_s, process.box.asleep_until_s)
        age_s = runtime.parts.heartbeat.progress_age_s()
        limit_s = runtime.parts.config.timing().hang_limit_ms / 1000
        if now_s - stopped_s > WELL_S and age_s is not None and age_s < limit_s - WELL_S:
            self._world.violate(
                "a node that is well was killed by its fence",
                of=process.name,
                last_step_s=round(age_s, 1),
            )

    # --- S2, S3: orders ------------------------------------------------------------------------

    def note_arrival(self, arrival: Arrival, order: VenueOrder) -> None:
        """No order of an older epoch after a newer one's first; none twice; none while paused."""
        world, intent = self._world, arrival.intent
        world.count("order accepted")
        parts = decode(intent.client_order_id)
        assert parts is not None, "an order without one of our ids"
        if parts.epoch < self._accepted_epoch:
            world.violate(
                "an order of an older epoch was accepted after a newer epoch's first",
                epoch=parts.epoch,
                newest=self._accepted_epoch,
                id=intent.client_order_id,
            )
        self._accepted_epoch = max(self._accepted_epoch, parts.epoch)
        if intent.client_order_id in self._ids:
            world.violate("one client order id was accepted twice", id=intent.client_order_id)
        self._ids.add(intent.client_order_id)
        self._copies.note_arrival(intent.client_order_id)
        self.loss.note_arrival(intent)
        same = self._exchange.open_tags().get(intent.tag, [])
        if len(same) > 1 and not order.status.is_final:
            world.violate("an order was doubled", tag=intent.tag, ids=" ".join(same))
        if arrival.process in self._drained:
            world.violate("an order arrived after a stop hook said that none would", tag=intent.tag)
        since_s = self.paused_since_s
        if since_s is not None and arrival.at_s > since_s:
            world.violate("an order was accepted while the cluster was paused", tag=intent.tag)

    # --- S6: latches ---------------------------------------------------------------------------

    def check_latches(self) -> None:
        """What a node knows of a latch never gets older, and only a person lifts one."""
        for box in self.boxes:
            process, runtime = box.living, box.runtime
            if process is None or runtime is None or process.is_paused:
                continue
            latches = runtime.parts.watch.latches
            since_s, watch = self.paused_since_s, runtime.parts.watch
            is_known = since_s is not None and self._world.now > since_s and watch.has_looked
            if is_known and not latches.is_paused:
                self._world.violate("a pause was forgotten", by=process.name)
            seen = self._seen_latches.setdefault(process.name, {})
            for kind, record in latches.records.items():
                is_set = bool(record.value.get("is_paused") or record.value.get("is_latched"))
                before = seen.get(kind)
                if before is not None:
                    if record.version < before[0]:
                        self._world.violate("a latch became older", kind=kind, by=process.name)
                    if before[1] and not is_set and record.by != "person":
                        self._world.violate("a latch lifted itself", kind=kind, by=process.name)
                seen[kind] = (record.version, is_set)
            for kind, (version, is_set) in seen.items():
                if is_set and kind not in latches.records:
                    self._world.violate(
                        "a latch was forgotten", kind=kind, version=version, by=process.name
                    )

    # --- S5: takeovers are told ----------------------------------------------------------------

    def note_journalled(self, process: SimProcess, keys: Collection[str]) -> None:
        """A node's own disk has its takeover: from now on it must be told, whatever happens."""
        epoch = _permit_epoch(process)
        if not epoch or epoch in self.journalled or f"{TAKEOVER}{epoch}" not in keys:
            return
        self.journalled[epoch] = process.name
        strike, self.on_next_takeover = self.on_next_takeover, None
        if strike is not None:
            strike(process)

    def owed_announcements(self) -> set[int]:
        """Return the epochs that must have been told by now.

        Journalled ones count when the node went on to trade or its process is gone: a grant that
        ended just then is told at the next start.
        """
        living = {box.living.name for box in self.boxes if box.living is not None}
        journalled = {
            epoch
            for epoch, name in self.journalled.items()
            if epoch in self.finished_epochs or name not in living
        }
        return (journalled | self.announced_durably) - {0}

    # --- what nodes say ------------------------------------------------------------------------

    def hear(self, name: str, fields: Mapping[str, Any]) -> None:
        """Take one event of a node's log."""
        world = self._world
        process = world.current
        who = "?" if process is None else process.name
        world.count(name)
        if name == "role.changed":
            world.count(f"role {fields['to']}")
        if process is not None:
            self._copies.hear(process, name, fields)
        if name == "latch.loss_limit" and process is not None:
            self.loss.note_latched(process)
        if name == "takeover.finished" and process is not None:
            self._note_takeover(process, fields)
        is_announcement = name == "alert.queued" and fields.get("kind") in TAKEOVERS
        if is_announcement and process is not None and not process.box.disk.is_failing:
            self.announced_durably.add(_permit_epoch(process))
        if name not in QUIET_EVENTS:
            world.note(who, name, **fields)
        if name in BUGS or name not in EVENTS:
            world.violate(f"a node logged {name}", by=who, **fields)

    def _note_takeover(self, process: SimProcess, fields: Mapping[str, Any]) -> None:
        epoch = _permit_epoch(process)
        self.finished_epochs[epoch] = process.name
        self.loss.note_takeover()
        if fields.get("fills_in_gap") not in (None, "none"):
            self._world.count("fill in a gap")
        if fields.get("adopted"):
            self._world.count("takeover adopts orders")
        if fields.get("orders_unclear"):
            self._world.count("takeover with orders in flight")

    def crashed(self, process: SimProcess, error: BaseException) -> None:
        """No exception ends a node."""
        self._world.violate(
            "a node crashed", by=process.name, error=f"{type(error).__name__}: {error}"
        )

    def active(self) -> "Box | None":
        """Return the box whose node trades now."""
        for box in self.boxes:
            process, runtime = box.living, box.runtime
            if process is None or runtime is None:
                continue
            if runtime.desk.role is Role.ACTIVE and _is_open(process):
                return box
        return None


TAKEOVERS = frozenset({"took_over", "both_were_off"})


def _permit(process: SimProcess) -> Any:
    runtime = process.box.runtime
    if runtime is None or process.box.process is not process:
        return None
    return runtime.parts.heartbeat.permit


def _permit_epoch(process: SimProcess) -> int:
    permit = _permit(process)
    return 0 if permit is None else int(permit.epoch)


def _is_open(process: SimProcess | None) -> bool:
    permit = None if process is None else _permit(process)
    return permit is not None and permit.remaining_s() > 0

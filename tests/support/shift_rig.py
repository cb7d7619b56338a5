"""One node's shifts over in-memory stores and venue: a lease that the test gives and takes."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from election.model import Granted, NodeId, Released, StoreName
from election.quorum import Quorum
from election.redis_ledger import RedisLedger
from exchange.journal_file import JournalFile
from node.mailbox import LeaseMailbox
from node.overseer import Overseer
from node.parts import NodeParts
from node.role import Role
from node.role_desk import RoleDesk
from node.shift import Shift
from node.shift_times import ShiftTimes
from node.standby import Standby
from node.takeover import TakeoverReport
from node.teller import Teller
from tests.support.desk import ManualPermit
from tests.support.trading_rig import SYMBOL, Rig


@dataclass(slots=True)
class LeasePermit(ManualPermit):
    """A permit with writes in flight that the test ends."""

    in_flight: int = 0
    lingers_s: float = 0.0

    def lingering_s(self) -> float:
        return self.lingers_s


@dataclass(slots=True)
class Lease:
    """The heartbeat by shape: remembers what it was asked, does nothing by itself."""

    mailbox: LeaseMailbox
    permit: LeasePermit = field(default_factory=lambda: LeasePermit(epoch=0))
    released: list[tuple[int, str, str]] = field(default_factory=list)
    floors: list[int] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    is_settled: bool = True

    def progress(self, label: str) -> None:
        self.steps.append(label)

    def raise_floor(self, epoch: int) -> None:
        self.floors.append(epoch)

    def close_gate(self, reason: str) -> None:
        self.closed.append(reason)
        self.permit.left_s = 0.0

    def settle(self) -> bool:
        return self.is_settled

    def release(self, *, drain_ms: int, reserved_for: str, reason: str) -> None:
        self.released.append((drain_ms, reserved_for, reason))
        epoch, self.permit.epoch = self.permit.epoch, 0
        self.mailbox.publish(Released(epoch=epoch, was_acknowledged=True))


@dataclass(slots=True)
class People:
    """The overseer by shape: what was told, and what a test makes it want."""

    reason: str = ""
    successor_id: str | None = None
    told: list[str] = field(default_factory=list)
    on_takeover: Callable[[TakeoverReport], None] = lambda _: None

    @property
    def successor(self) -> "People":
        return self

    @property
    def box(self) -> "People":
        return self

    def reason_to_hand_over(self) -> str:
        return self.reason

    def requested(self) -> str | None:
        return self.successor_id

    async def last_trading_ms(self) -> int | None:
        return None

    async def tell_took_over(self, epoch: int, report: Any) -> None:
        self.on_takeover(report)
        self.told.append(f"took over {epoch}: {report.fills_in_gap}")

    async def tell_gave_up(self, epoch: int, reason: str, *_: Any, **__: Any) -> None:
        self.told.append(f"gave up {epoch}: {reason}")

    async def tell_strategy_differs(self, epoch: int, symbols: list[str]) -> None:
        self.told.append(f"differs {epoch}: {', '.join(symbols)}")


ABC = Quorum(tuple(StoreName(n) for n in "abc"))


class NamedLedger:
    """Adds the reading side of the ledger; `silent` stores do not answer a read."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.silent: set[str] = set()

    def read_named(self) -> Mapping[str, Mapping[str, str]]:
        stores = self._rig.ledger.stores
        return {s.name: dict(s.documents) for s in stores if s.name not in self.silent}

    def write(self, **changes: Any) -> Any:
        return self._rig.ledger.write(**changes)


class ShiftRig:
    """A node that stands by; `grant` gives it the lease, `turn` does one turn of its duty."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.people = People()
        self.ledger = NamedLedger(rig)
        self.hung_up = 0
        self.clock = SimpleNamespace(estimate=lambda: None)
        self.mailbox = LeaseMailbox(asyncio.get_running_loop())
        self.lease = Lease(self.mailbox)
        rig.permit = self.lease.permit
        self.peer_reasons: tuple[str, ...] = ()
        rig.health.role, rig.health.is_ready, rig.health.account = Role.STANDBY, True, "memory"
        quiet = SimpleNamespace(status=lambda _: None, set_context=lambda **_: None)
        venue = SimpleNamespace(reconcile_interval_ms=15_000)
        self.parts = cast(
            "NodeParts",
            SimpleNamespace(
                config=SimpleNamespace(quorum=ABC, venue=venue),
                node_id="jetson",
                identity=SimpleNamespace(nonce="n1"),
                heartbeat=self.lease,
                peer=None,
                promise_doubt=None,
                relies_on_promise=lambda: False,
                peer_reasons=lambda: self.peer_reasons,
                mailbox=self.mailbox,
                link=SimpleNamespace(venue=rig.venue, clock=self.clock),
                ledger=self.ledger,
                watch=rig.watch,
                disk=rig.disk,
                seats=(rig.seat,),
                fingerprint="bench",
                trader_parts=rig.trader_parts(),
                health=rig.health,
                teller=Teller(rig.ear, cluster="t", node_id="jetson", epoch=lambda: 0),
                reporter=rig.reporter,
                times=ShiftTimes(rig.now_s, lambda: rig.exchange.now_ms),
                notifier=quiet,
                log=quiet,
                started_wall_ms=0,
                wall_ms=lambda: rig.exchange.now_ms,
                monotonic_s=rig.now_s,
            ),
        )
        self.standby = Standby(
            ledger=cast("RedisLedger", self.ledger),
            disk=cast("JournalFile", rig.disk),
            venue=rig.venue,
            clock_error_ms=lambda: 1.0,
            health=rig.health,
            symbols=(SYMBOL,),
            cluster_id="test-desk",
            raise_floor=self.lease.raise_floor,
            on_step=self.lease.progress,
            monotonic_s=rig.now_s,
            reporter=rig.reporter,
            early=rig.early_look(),
        )
        self.shift = Shift(
            self.parts,
            desk=RoleDesk(self.parts),
            standby=self.standby,
            overseer=cast("Overseer", self.people),
            before_drain=self._hang_up,
        )

    def _hang_up(self) -> None:
        self.hung_up += 1

    def role(self) -> Role:
        """Return what the node does now; a call, because each look may differ."""
        return self.rig.health.role

    def grant(
        self,
        epoch: int,
        *,
        is_stopping: bool = False,
        was_released: bool = False,
        reason: str = "",
    ) -> None:
        """Let the stores and the permit say that this node holds the lease."""
        self.rig.ledger.grant(epoch)
        self.lease.permit.epoch, self.lease.permit.left_s = epoch, 4.0
        event = Granted(
            epoch=epoch,
            previous=NodeId("raspberrypi"),
            previous_epoch=epoch - 1,
            was_released=was_released,
            silent_s=None if was_released else 6.1,
            drain_ms=0,
            reason=reason,
        )
        self.shift.begin(event, is_stopping=is_stopping)

    async def turn(self, *, stop: str = "", after_s: float = 2.0) -> None:
        """Let time pass and do one turn of the present duty."""
        self.rig.exchange.now_ms += int(after_s * 1000)
        if self.role() is Role.TAKEOVER:
            await self.shift.take_over(stop_reason=stop)
        elif self.role() is Role.ACTIVE:
            await self.shift.trade(stop_reason=stop)


async def new_shift_rig(rig: Rig | None = None) -> ShiftRig:
    """Return a node that stands by in a cluster that is not paused."""
    rig = rig or Rig()
    if not rig.watch.latches.records:
        await rig.watch.put("cluster", {"born_ms": 0, "account": "memory"}, reason="test")
    return ShiftRig(rig)

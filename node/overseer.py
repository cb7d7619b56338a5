"""What is told beyond orders: who trades, who is spare, stores, resources.

Rules of this file: it looks at what the duties and the cluster watch have left and turns changes
into log lines and alerts, each once (watch.py). It changes no role; who should trade instead is in
successor.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from alerts.events import TakeoverFacts
from alerts.model import Kind, Verdict
from alerts.render import render_instant
from exchange.journal import Journal, merge
from node.active import Active
from node.beat_watch import BeatWatch
from node.box_care import BoxCare
from node.box_watch import BoxWatch
from node.deadman_watch import DeadmanWatch
from node.eligibility import own_reasons
from node.health import NOT_ASKED
from node.hold_watch import HoldWatch
from node.latch_watch import LatchWatch
from node.logs import log_event
from node.parts import NodeParts
from node.picture import missing_spare, positions_in, resting_in, spare_at_start
from node.replacing import list_ids_of
from node.role import Role, has_lease
from node.store_watch import StoreWatch
from node.successor import Successor
from node.takeover import TakeoverReport
from node.topology import topology_sentence
from node.trader import Trader
from node.version import program_version
from node.watch import (
    FitWatch,
    Notice,
    PreferredWatch,
    SpareWatch,
    TradingWatch,
    find_spares,
)

SPARE_SETTLE_S = 3.0
REMEMBER_S = 5.0
# How long a node that has started may be unfit before it says so; a slow board needs some of it.
UNFIT_S = 10.0
NO_SPARE = "none, the next failure stops trading"


@dataclass(slots=True)
class Overseer:
    """Watches the cluster from this node."""

    parts: NodeParts
    spare: SpareWatch = field(default_factory=lambda: SpareWatch(settle_s=SPARE_SETTLE_S))
    _fit: FitWatch = field(default_factory=lambda: FitWatch(patience_s=UNFIT_S))
    successor: Successor = field(init=False)
    box: BoxWatch = field(init=False)
    care: BoxCare = field(init=False)
    beat: BeatWatch = field(init=False)
    _hold: HoldWatch = field(init=False)
    outside: DeadmanWatch = field(init=False)
    stores: StoreWatch = field(init=False)
    _trading: TradingWatch = field(init=False)
    _preferred: PreferredWatch = field(init=False)
    _latches: LatchWatch = field(init=False)
    _spare_lost_s: float | None = None
    _remember_due_s: float = 0.0

    def __post_init__(self) -> None:
        """Set the patience from the configured timing."""
        config = self.parts.config
        self.successor = Successor(self.parts, spares=self.spares)
        self._hold = HoldWatch(self.parts, self.successor)
        self.box = BoxWatch(self.parts)
        self.care = BoxCare(self.parts)
        self.beat = BeatWatch(self.parts)
        self.outside = DeadmanWatch(self.parts)
        self.stores = StoreWatch(self.parts, is_speaker=self._is_speaker)
        self._latches = LatchWatch(self.parts)
        ttl_s = config.timing().takeable_after_s
        self._trading = TradingWatch(patience_s=2 * ttl_s + 2)
        self._preferred = PreferredWatch(stable_for_s=config.health.stable_for_s)

    # --- once a turn -------------------------------------------------------------------------

    async def step(self, trader: Trader | None, active: Active | None) -> None:
        """Take one look at everything and tell what changed."""
        now_s = self.parts.monotonic_s()
        await self.box.step(now_s)
        await self.care.step(now_s)
        await self.beat.step(now_s)
        await self.outside.step(now_s)
        await self._hold.step(now_s)
        self.successor.note_request(now_s)
        if not self.parts.watch.has_looked:
            return
        await self._watch_spare(now_s)
        await self._watch_trading(now_s, trader)
        await self._watch_preferred(now_s)
        is_mine_to_say = has_lease(self.parts.health.role) or self._is_speaker()
        await self._latches.step(active, is_mine_to_say=is_mine_to_say)
        await self._watch_fitness(now_s)

    def peer_configs(self) -> dict[str, frozenset[str]]:
        """Return the store lists that each other member announces."""
        return {
            str(node_id): list_ids_of(member.body)
            for node_id, member in self.parts.watch.members.items()
            if "config_id" in member.body and node_id != self.parts.node_id
        }

    def spares(self) -> tuple[str, ...]:
        """Return the nodes that could take over now."""
        return find_spares(
            self.parts.watch.peers(), me=self.parts.node_id, fresh_s=self.parts.fresh_s
        )

    # --- role changes ------------------------------------------------------------------------

    async def tell_started(self) -> None:
        """Tell that this process is ready, and what one loss would mean."""
        parts, config = self.parts, self.parts.config
        await parts.teller.tell(
            Kind.STARTUP,
            parts.identity.nonce,
            {
                "role": parts.health.role.in_words,
                "version": program_version(),
                "profile": config.cluster.profile.value,
                "venue": f"{config.venue.exchange}, account {parts.health.account or 'unknown'}",
                "strategies": ", ".join(
                    f"{s.use} on {'/'.join(s.symbols)}" for s in config.strategies
                ),
                "stores": ", ".join(s.name for s in config.stores),
                "topology": topology_sentence(config).rstrip("."),
                "spare": spare_at_start(
                    list(parts.watch.peers().values()), me=parts.node_id, fresh_s=parts.fresh_s
                ),
            },
        )

    async def tell_took_over(self, epoch: int, report: TakeoverReport) -> None:
        """Tell that this node trades now; once an epoch."""
        parts = self.parts
        spares = self.spares()
        if report.was_handed_over:
            # Whoever gave the lease up in order stands by in a moment.
            spares = (report.previous,)
        self.spare.reset(has_spare=bool(spares))
        facts = TakeoverFacts(
            gap_s=report.gap_s,
            reason=report.reason,
            previous=report.previous,
            position_before=report.position_before,
            position_after=report.position_after,
            fills_in_gap=report.fills_in_gap,
            orders_kept=report.orders_kept,
            orders_cancelled=report.orders_cancelled,
            orders_unclear=report.orders_unclear,
            protection=report.resting,
            spare=f"{', '.join(spares)} is ready" if spares else NO_SPARE,
            has_spare=bool(spares),
            is_first_start=report.is_first_start,
        )
        if report.was_whole_cluster_off:
            await self._tell_both_were_off(epoch, facts, off_since_ms=report.off_since_ms)
        else:
            await parts.teller.tell_took_over(facts, epoch=epoch)
        await self.box.remember_trading()

    async def _tell_both_were_off(
        self, epoch: int, facts: TakeoverFacts, *, off_since_ms: int | None
    ) -> None:
        """The one message on return: a takeover from nobody."""
        gap_s = facts.gap_s or 0.0
        await self.parts.teller.tell(
            Kind.BOTH_WERE_OFF,
            str(epoch),
            {
                "gap": f"{gap_s:.0f} s",
                "off_since": "" if off_since_ms is None else render_instant(off_since_ms),
                "position_before": facts.position_before,
                "position_after": facts.position_after,
                "fills_in_gap": facts.fills_in_gap,
                "now": f"{self.parts.node_id} trades; orders kept {facts.orders_kept}, cancelled "
                f"{facts.orders_cancelled}, unclear {facts.orders_unclear}",
                "protection": facts.protection,
                "spare": facts.spare,
            },
            epoch=epoch,
        )

    async def tell_strategy_differs(self, epoch: int, symbols: Sequence[str]) -> None:
        """Tell that nothing new is placed there until a person accepts; once an epoch."""
        mark, listed = self.parts.fingerprint, ", ".join(symbols)
        log_event("fingerprint.differs", symbols=list(symbols), fingerprint=mark)
        await self.parts.teller.tell(
            Kind.DEGRADED,
            f"fingerprint:{epoch}",
            {
                "what": f"strategy or limits for {listed} differ from the last leader's",
                "meaning": f"orders that rest in {listed} are kept or cancelled, nothing new is "
                "placed",
                "fix": f"make strategies and limits of both nodes equal and restart the one that "
                f"changed; if fingerprint {mark} of this node is the one you want: nodectl resume "
                "--accept-strategy (it lifts a pause and the loss limit too)",
            },
            epoch=epoch,
            verdict=Verdict.ACT,
        )

    async def tell_gave_up(
        self, epoch: int, reason: str, trader: Trader | None, *, successor: str = ""
    ) -> None:
        """Tell that this node does not trade any more; once an epoch."""
        left = 0 if trader is None else len(trader.journal.open_intents())
        await self.parts.teller.tell(
            Kind.GAVE_UP,
            f"{epoch}:{self.parts.node_id}",
            {
                "reason": reason,
                "last_order": _last_order(trader),
                "orders_left": f"{left}" if trader is not None else "",
                "next": successor or ", ".join(self.spares()) or "nobody that this node can see",
            },
            epoch=epoch,
            verdict=Verdict.NOTHING_TO_DO if successor else None,
        )

    # --- watches -----------------------------------------------------------------------------

    async def _watch_spare(self, now_s: float) -> None:
        if self.parts.health.role is not Role.ACTIVE:
            return
        # A pause stops both nodes: it takes no spare away.
        peers = {
            node_id: member._replace(reasons=own_reasons(member.reasons))
            for node_id, member in self.parts.watch.peers().items()
        }
        spares = find_spares(peers, me=self.parts.node_id, fresh_s=self.parts.fresh_s)
        notice = self.spare.step(has_spare=bool(spares), now_s=now_s)
        if notice is Notice.SPARE_LOST:
            self._spare_lost_s = now_s
            others = [n for n in self.parts.config.nodes if n != self.parts.node_id]
            facts = missing_spare(peers, others, fresh_s=self.parts.fresh_s)
            log_event("spare.lost", peer=facts["peer"], reason=facts["state"])
            await self.parts.teller.tell(Kind.SPARE_LOST, str(self.parts.wall_ms()), facts)
        elif notice is Notice.SPARE_BACK:
            log_event("spare.back", peer=", ".join(spares))
            since_s, self._spare_lost_s = self._spare_lost_s, None
            away = "" if since_s is None else f"{now_s - since_s:.0f} s"
            await self.parts.teller.tell(
                Kind.SPARE_BACK,
                str(self.parts.wall_ms()),
                {"peer": ", ".join(spares), "away": away},
            )

    async def _watch_fitness(self, now_s: float) -> None:
        """Say why this node, which has just started, is no spare."""
        health = self.parts.health
        if health.crash_loop:
            return  # told with what lifts it (crash_watch.py)
        reasons = own_reasons(health.reasons)
        is_fit = has_lease(health.role) or not reasons
        if health.venue_error == NOT_ASKED or self._fit.step(is_fit=is_fit, now_s=now_s) is None:
            return
        await self.parts.teller.tell(
            Kind.DEGRADED,
            f"unfit:{self.parts.identity.nonce}",
            {
                "what": "this node cannot take over",
                "reason": "; ".join(reasons),
                "fix": "mend that, and restart the node if it was in its configuration or secrets",
            },
            verdict=Verdict.ACT,
        )

    async def _watch_trading(self, now_s: float, trader: Trader | None) -> None:
        parts = self.parts
        # A takeover that lasts is no trading: the patience covers one that goes well.
        trading = {Role.ACTIVE.value, Role.DRAINING.value}
        fresh = [m for m in parts.watch.peers().values() if m.age_s <= parts.fresh_s]
        is_trading = parts.health.role.value in trading or any(m.role in trading for m in fresh)
        if is_trading and now_s >= self._remember_due_s:
            self._remember_due_s = now_s + REMEMBER_S
            await self.box.remember_trading()
        since_s = self._trading.silent_since_s
        notice = self._trading.step(is_somebody_trading=is_trading, now_s=now_s)
        is_other_at_it = any(m.role == Role.TAKEOVER.value for m in fresh)
        is_mine_to_say = not is_other_at_it and self._is_speaker()
        if notice is None or not (has_lease(parts.health.role) or is_mine_to_say):
            return
        reason = "; ".join(parts.health.reasons) or "this node waits for the lease"
        quorum = parts.config.quorum
        if not quorum.is_met(parts.watch.stores_answered):
            reason = "too few lease stores answer, so nobody can prove that the other is dead"
        elif not self.stores.has_majority:
            reason = f"too few lease stores are usable here; {self.stores.error}"
        log_event("trading.nobody", reason=reason)
        silent_ms = 0 if since_s is None else int((now_s - since_s) * 1000)
        journal = self._journal(trader)
        await parts.teller.tell(
            Kind.NOBODY_TRADES,
            str(parts.wall_ms()),
            {
                "since": render_instant(parts.wall_ms() - silent_ms),
                "reason": reason,
                "position": positions_in(journal),
                "protection": resting_in(journal),
                "fix": "bring the missing box or store back, or see nodectl status",
            },
        )

    def _journal(self, trader: Trader | None) -> Journal:
        """Return what this node knows: the holder's journal, or the copy on its disk."""
        if trader is not None:
            return trader.journal
        return merge([("own disk", self.parts.disk.documents)]).journal

    def _is_speaker(self) -> bool:
        """Tell whether this node speaks for the cluster when nobody trades."""
        fresh = [
            node_id
            for node_id, member in self.parts.watch.peers().items()
            if member.age_s <= self.parts.fresh_s
        ]
        return all(self.parts.node_id < other for other in fresh)

    async def _watch_preferred(self, now_s: float) -> None:
        parts = self.parts
        preferred = parts.config.cluster.preferred_node
        is_mine_to_say = parts.health.role is Role.ACTIVE and preferred != parts.node_id
        notice = self._preferred.step(
            is_mine_to_say=is_mine_to_say,
            is_preferred_fit=is_mine_to_say and preferred in self.spares(),
            now_s=now_s,
        )
        if notice is None:
            return
        log_event("preferred.fit", peer=preferred)
        await parts.teller.tell(
            Kind.PREFERRED_FIT,
            str(parts.wall_ms()),
            {"peer": preferred, "fit_for": f"{parts.config.health.stable_for_s} s"},
        )


def _last_order(trader: Trader | None) -> str:
    if trader is None:
        return ""
    return render_instant(trader.last_order_ms) if trader.last_order_ms else "none in this epoch"

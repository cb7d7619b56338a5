"""From a grant to a settled picture of the venue: one bounded attempt a turn.

Rules of this file (S4): every copy of the journal that a majority of the stores has is merged
before anything is looked at; a look that failed is repeated in the next turn, so that the work
loop goes on hearing events, pauses and requests to end; latches are read at the moment of acting.
"""

import asyncio
from dataclasses import dataclass, replace

from election.model import Granted
from exchange.errors import VenueError
from exchange.executor import Execution
from exchange.findings import Findings
from exchange.journal import Journal, Merged
from exchange.journal_writer import JournalWriter
from exchange.positions import CountedFill
from exchange.steps import Plan
from exchange.wanted import TradingMode
from node.active import CLOCK_S, Active
from node.logs import log_event
from node.parts import NodeParts
from node.standby import Standby
from node.takeover import GrantEnded, Unfit, seat_all, stale_keys
from node.trader import Trader

# Passes that only look up fills of unknown orders; each looks up dozens.
ATTRIBUTION_PASSES_MAX = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """Everything is accounted for, and what was not wanted any more is being cancelled."""

    trader: Trader
    active: Active
    before: Merged
    findings: Findings  # of the last pass, with the fills of all passes
    plan: Plan
    execution: Execution


class Reconciling:
    """One grant's takeover, kept over as many turns as it takes."""

    def __init__(
        self, parts: NodeParts, *, standby: Standby, granted: Granted, granted_at_s: float
    ) -> None:
        """Begin with a grant; nothing is read yet."""
        self.trader: Trader | None = None
        self._parts = parts
        self._standby = standby
        self._granted = granted
        self._granted_at_s = granted_at_s
        self._before = Merged(journal=Journal(), documents={})
        self._fills: tuple[CountedFill, ...] = ()
        self._trouble = ""
        self._pushing: asyncio.Future[None] | None = None

    async def attempt(self) -> Settled | None:
        """Go as far as stores and venue let it; None means: try again in the next turn.

        Raises:
            GrantEnded: the grant is below an epoch that was seen; it ends by itself.
            Unfit: this node may not trade; the grant is to be given up.
        """
        try:
            self._check_account()
            trader = self.trader or await self._gather()
            if trader is None:
                return None
            findings = await self._look(trader)
            active = self._build_active(trader, findings)
            plan, execution = await self._settle(trader, active, findings)
            if self._pushing is not None:
                await self._pushing
        except VenueError as error:
            self._note_trouble(f"{type(error).__name__}: {error}")
            self._parts.heartbeat.progress("takeover attempt")
            return None
        self._note_trouble("")
        return Settled(
            trader=trader,
            active=active,
            before=self._before,
            findings=findings,
            plan=plan,
            execution=execution,
        )

    def _check_account(self) -> None:
        expected, own = self._parts.watch.latches.account, self._parts.health.account
        if expected is not None and own != expected:
            raise Unfit(
                f"wrong account: this node's API key belongs to account {own}, the cluster "
                f"trades {expected}"
            )

    async def _gather(self) -> Trader | None:
        """Merge the copies and bind the write path of this grant; None: too few stores."""
        parts, granted = self._parts, self._granted
        if self._pushing is None:
            # Beside the rest: a store of the box that died is awaited for a moment.
            self._pushing = asyncio.ensure_future(parts.watch.push())
        merged = await self._standby.gather(quorum=parts.config.quorum)
        if merged is None:
            # What the last holder journalled is in some store of any majority, not in any store.
            log_event("takeover.retried", reason="too few stores showed their journal")
            return None
        written = merged.journal.stamp.epoch
        if written >= granted.epoch:
            # This grant has written nothing yet: somebody else had this very epoch, and the
            # stores have forgotten it (all of them began empty). Ask for one above (R7).
            parts.heartbeat.raise_floor(max(written, granted.epoch + 1))
            raise GrantEnded(f"the journal knows epoch {written}")
        writer = JournalWriter(
            merged.journal,
            epoch=granted.epoch,
            ledger=parts.ledger,
            disk=parts.disk,
            stale_keys=stale_keys(merged),
            on_step=lambda: parts.heartbeat.progress("journal write"),
            is_ledger_waived=parts.relies_on_promise,
        )
        trader = Trader(parts.trader_parts, writer=writer, absences=self._standby.early.absences)
        self.trader, self._before = trader, merged
        await trader.flush()
        for problem in seat_all(parts.seats, trader):
            parts.reporter.damaged("state", where="merged journal", why=problem)
        return trader

    async def _look(self, trader: Trader) -> Findings:
        """Look until every fill has an owner; a new grant must know its positions."""
        heartbeat = self._parts.heartbeat
        for _ in range(ATTRIBUTION_PASSES_MAX):
            findings = await trader.look(born_ms=self._parts.watch.latches.born_ms)
            heartbeat.progress("takeover look")
            self._fills += findings.fills
            if findings.deposed_by is not None:
                # Another grant of ours was busy at the venue: ask for an epoch above it (R7).
                # Another node under this very epoch counts as one above.
                heartbeat.raise_floor(max(findings.deposed_by, self._granted.epoch + 1))
                raise GrantEnded(f"epoch {findings.deposed_by} was seen at the venue")
            if not findings.unattributed:
                break
        return replace(findings, fills=self._fills)

    async def _settle(
        self, trader: Trader, active: Active, findings: Findings
    ) -> tuple[Plan, Execution]:
        """Adopt what is wanted, cancel what is not; place nothing."""
        is_paused = self._parts.watch.latches.is_paused
        return await trader.act(
            findings,
            mode=TradingMode.HANDS_OFF if is_paused else TradingMode.CANCEL_ONLY,
            modes=active.modes(),
            is_loss_latched=False,
            why_stop=active.why_stop,
        )

    def _build_active(self, trader: Trader, findings: Findings) -> Active:
        parts = self._parts
        tail_s = parts.trader_parts.effect_tail_ms / 1000
        # The spare has measured it lately: the first order need not wait for three more answers.
        clock = parts.link.clock.estimate()
        return Active(
            trader=trader,
            watch=parts.watch,
            health=parts.health,
            reporter=parts.reporter,
            fingerprint=parts.fingerprint,
            pass_interval_s=parts.config.venue.reconcile_interval_ms / 1000,
            monotonic_s=parts.monotonic_s,
            quiet_until_s=0.0 if self._granted.was_released else self._granted_at_s + tail_s,
            clock_due_s=0.0 if clock is None else parts.monotonic_s() + CLOCK_S - clock.age_s,
            findings=findings,
        )

    def _note_trouble(self, trouble: str) -> None:
        if trouble and trouble != self._trouble:
            log_event("takeover.retried", reason=trouble)
        self._trouble = self._parts.health.venue_error = trouble

"""From what was seen to a verdict: PASSED, what was late, or FAILED with the reason. Pure.

All phases count from the last renewal that a majority of the stores took (a failover), or from
the moment at which the old leader closed its gate (a switchover): from there on nobody trades.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from node.config_model import Config
from node.drill.model import DrillKind, DrillRequest, DrillResult, Outcome, Phase
from node.drill.rules import (
    ALERT_S,
    failover_budget_s,
    stop_renewing_budget_s,
    switchover_budget_s,
)

# An order within this time of the first turn was wanted from the start.
WANTED_S = 2.0
FIRST_ORDER = "first order"
READY = "reconciled, trading"


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueCheck:
    """What the venue's own record of the time says. `source`: where it was read."""

    source: str
    orders: int
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen of one drill; durations in seconds, None for what was not seen.

    `stopped_s`: from the request to the last renewal. `granted_s`, `ready_s`, `first_order_s`,
    `alert_s`: from the last renewal (a switchover: from the closed gate). `last_order_s`: the
    last order before, earlier than that by so much. `back_s`: until the hurt node was a fit spare
    again. `gap_s`: the longest time without a renewal that counted (store drill).
    """

    by: str
    at_ms: int
    new_holder: str | None = None
    new_epoch: int | None = None
    noticed_s: float | None = None
    stopped_s: float | None = None
    granted_s: float | None = None
    ready_s: float | None = None
    first_order_s: float | None = None
    last_order_s: float | None = None
    alert_s: float | None = None
    has_alerts: bool = True
    back_s: float | None = None
    back_budget_s: float | None = None
    gap_s: float | None = None
    was_cut: bool | None = None
    venue: VenueCheck | None = None
    why_no_venue: str = ""
    does_accept_stop: bool = False
    was_interrupted: bool = False


def judge(request: DrillRequest, seen: Seen, config: Config) -> DrillResult:
    """Return the verdict on one drill."""
    if request.kind is DrillKind.STORE:
        phases, problems = (
            _store_phases(seen, config),
            tuple(_store_problems(request, seen, config)),
        )
    else:
        phases = tuple(_failover_phases(request, seen, config))
        problems = tuple(_failover_problems(request, seen))
    if seen.venue is not None:
        problems = (*problems, *(f"at the venue: {text}" for text in seen.venue.problems))
    late = [phase for phase in phases if phase.is_late]
    outcome = Outcome.FAILED if problems else Outcome.LATE if late else Outcome.PASSED
    return DrillResult(
        drill_id=request.drill_id,
        kind=request.kind,
        target=request.target,
        by=seen.by,
        at_ms=seen.at_ms,
        outcome=outcome,
        summary=_summary(request, seen, outcome, late, problems),
        phases=phases,
        problems=problems,
        notes=tuple(_notes(seen)),
    )


def _failover_phases(request: DrillRequest, seen: Seen, config: Config) -> Iterator[Phase]:
    if seen.does_accept_stop:
        # Nobody could take over: what is measured is how long nobody traded.
        yield Phase(name="somebody trades again", after_s=seen.back_s, budget_s=seen.back_budget_s)
        return
    is_planned = request.kind is DrillKind.SWITCHOVER
    budget_s = switchover_budget_s(config) if is_planned else failover_budget_s(config)
    stop_budget_s = stop_renewing_budget_s(config, request.kind)
    if stop_budget_s is not None:
        yield Phase(name="renewals stopped (after asking)", after_s=seen.stopped_s,
                    budget_s=stop_budget_s)  # fmt: skip
    if seen.noticed_s is not None:
        yield Phase(name="silence noticed", after_s=seen.noticed_s)
    yield Phase(name="granted", after_s=seen.granted_s, budget_s=budget_s)
    yield Phase(name=READY, after_s=seen.ready_s, budget_s=budget_s)
    yield _first_order(seen, budget_s)
    if seen.has_alerts:
        yield Phase(name="alert delivered", after_s=seen.alert_s, budget_s=budget_s + ALERT_S)
    if seen.back_budget_s is not None:
        name = f"{request.target} a fit spare again"
        if is_planned:
            name = f"{request.holder} a fit spare"
        yield Phase(name=name, after_s=seen.back_s, budget_s=seen.back_budget_s)


def _first_order(seen: Seen, budget_s: float) -> Phase:
    """An order that was wanted at once is judged; one that came with a later candle is shown."""
    order_s, ready_s = seen.first_order_s, seen.ready_s
    if order_s is None:
        return Phase(name=FIRST_ORDER, after_s=None, note="no order was wanted meanwhile")
    if ready_s is not None and order_s - ready_s > WANTED_S:
        return Phase(name=FIRST_ORDER, after_s=order_s, note="wanted by a later candle")
    return Phase(name=FIRST_ORDER, after_s=order_s, budget_s=budget_s)


def _failover_problems(request: DrillRequest, seen: Seen) -> Iterator[str]:
    if seen.was_interrupted:
        yield "the watching was interrupted"
    if seen.does_accept_stop:
        if seen.new_holder is None:
            yield "nobody leads after it was plugged in again"
        return
    if seen.new_epoch is None:
        yield "nobody took over"
        return
    if seen.new_epoch <= request.epoch:
        yield f"the epoch did not grow: {request.epoch}, then {seen.new_epoch}"
    if seen.new_holder == request.holder:
        yield f"{request.holder} leads again, the other node did not take over"
    elif seen.ready_s is None:
        yield f"{seen.new_holder} was granted the lease and did not come to trade"


def _store_phases(seen: Seen, config: Config) -> tuple[Phase, ...]:
    # A stop that was accepted beforehand is no lateness.
    budget_s = None if seen.does_accept_stop else config.timing().gate_s
    phases = [Phase(name="longest time without a renewal", after_s=seen.gap_s, budget_s=budget_s)]
    phases.append(
        Phase(name="the store renewed again", after_s=seen.back_s, budget_s=seen.back_budget_s)
    )
    return tuple(phases)


def _store_problems(request: DrillRequest, seen: Seen, config: Config) -> Iterator[str]:
    if seen.was_interrupted:
        yield "the watching was interrupted"
    if not seen.was_cut:
        yield f"the nodes did not cut {request.target} off"
    has_moved = seen.new_epoch is not None and seen.new_epoch != request.epoch
    if has_moved and not seen.does_accept_stop:
        yield (
            f"the loss of one store of {len(config.stores)} changed the leader: epoch "
            f"{request.epoch}, then {seen.new_epoch}"
        )
    if seen.new_holder is None:
        yield "nobody leads after the store came back"


def _notes(seen: Seen) -> Iterator[str]:
    if seen.last_order_s is not None:
        yield f"last order before: {seen.last_order_s:.1f} s earlier"
    if not seen.has_alerts:
        yield "no Telegram chat is configured: the alert's delivery was not measured"
    if seen.venue is not None:
        orders = f"{seen.venue.orders} orders" if seen.venue.orders != 1 else "1 order"
        bad = "NOT in order" if seen.venue.problems else "each once, in the order of the epochs"
        yield f"the venue's record ({seen.venue.source}): {orders}, {bad}"
    elif seen.why_no_venue:
        yield f"the venue's record was not checked: {seen.why_no_venue}"


def _summary(
    request: DrillRequest,
    seen: Seen,
    outcome: Outcome,
    late: list[Phase],
    problems: tuple[str, ...],
) -> str:
    what = f"{request.kind} of {request.target}"
    if request.kind is DrillKind.SWITCHOVER:
        what = f"switchover from {request.holder} to {request.target}"
    if outcome is Outcome.FAILED:
        return f"{what}: {problems[0]}"
    if outcome is Outcome.LATE:
        return f"{what}: late: {'; '.join(map(_late_words, late))}"
    if seen.does_accept_stop:
        return f"{what}: trading stopped safely, as accepted, and went on by itself"
    if request.kind is DrillKind.STORE:
        return f"{what}: trading went on under epoch {seen.new_epoch}"
    return f"{what}: {seen.new_holder} was ready after {seen.ready_s:.1f} s"


def _late_words(phase: Phase) -> str:
    after = "not seen" if phase.after_s is None else f"{phase.after_s:.1f} s"
    return f"{phase.name} {after}, at most {phase.budget_s:.1f} s"

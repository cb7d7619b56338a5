"""What the cluster does now, judged from one look at its stores. Pure.

Rules of this file: ages are differences on one store's own clock and are for display only; what
was not seen is None and is said in `remarks`; nothing here decides who may act.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from election.member_record import MemberReading
from election.model import LeaseState, NodeId
from election.peek import (
    ClusterPeek,
    HolderSeen,
    StorePeek,
    majority_holder,
    merged_control,
    merged_members,
    named_documents,
)
from exchange.journal import merge
from node.config_model import Config, Topology
from node.growing import growth_of, next_step
from node.latches import Latches, merge_latches
from node.replacing import list_ids_of
from node.role import PEOPLES_WORDS, Role
from node.status_model import (
    StatusView,
    StoreLine,
    StrategyLine,
    TakeoverLine,
    Verdict,
)
from node.status_money import last_takeover_of, list_orders, list_positions
from node.status_nodes import (
    MEMBER_FRESH_S,
    node_order,
    node_view,
    number_or_none,
    role_of,
    texts_of,
)
from node.topology import topology_sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lease:
    """Who holds it, by a majority of the stores; `is_known` when a majority answered."""

    seen: HolderSeen | None
    is_known: bool

    @property
    def holder(self) -> NodeId | None:
        return None if self.seen is None else self.seen.node_id


def build_status(seen: ClusterPeek, config: Config, *, now_wall_ms: int) -> StatusView:
    """Return what the stores say, in the order in which people want to know it.

    Args:
        seen: one look at each configured store, in configured order.
        config: this machine's own configuration.
        now_wall_ms: Unix time for display, and for which day is today (UTC).
    """
    remarks: list[str] = []
    lease = _Lease(seen=majority_holder(seen), is_known=seen.has_majority)
    members = {str(n): m for n, m in merged_members(seen).items()}
    latches, _ = merge_latches(merged_control(seen), is_first_start_allowed=False)
    merged = merge(named_documents(seen))
    remarks += [f"store {s.name}: {text}" for s in seen.answered for text in s.problems]
    remarks += [f"{d.key} in {d.source} is unreadable: {d.why}" for d in merged.damages]
    silent_s = _silence(lease, config)
    nodes = tuple(
        node_view(
            node_id,
            members.get(node_id),
            holder=lease.holder,
            is_known=lease.is_known,
            is_silent=silent_s is not None,
            config=config,
        )
        for node_id in sorted({*config.nodes, *members}, key=lambda n: node_order(n, config))
    )
    spares = tuple(n.node_id for n in nodes if n.is_spare)
    verdict = _judge(lease, members, latches, silent_s, spares, config)
    remarks += _compare(seen, members, config, lease)
    growth = growth_of(config, latches, members)
    if growth is not None and (step := next_step(growth, tuple(config.nodes))):
        remarks.append(f"the pair grows from one store to three; next: {step}")
    takeover = last_takeover_of(merged.journal, remarks)
    since_wall_ms = _since(lease, takeover, members)
    today = datetime.fromtimestamp(now_wall_ms / 1000, UTC).date().isoformat()
    positions = list_positions(merged.journal, today)
    is_known = bool(seen.answered)
    return StatusView(
        taken_wall_ms=now_wall_ms,
        cluster_id=config.cluster_id,
        verdict=verdict,
        headline=_headline(verdict, seen, lease, members, latches, silent_s),
        holder=lease.holder,
        epoch=_epoch(seen, lease),
        since_wall_ms=since_wall_ms,
        silent_s=silent_s,
        takeover_in_s=_takeover_in(lease, silent_s, config),
        is_paused=latches.is_paused if is_known else None,
        pause_reason=latches.pause_reason if is_known and latches.is_paused else "",
        is_loss_latched=latches.is_loss_latched,
        spares=spares,
        nodes=nodes,
        stores=tuple(_store_line(s) for s in seen.stores),
        strategies=tuple(StrategyLine(name=s.use, symbols=s.symbols) for s in config.strategies),
        fingerprint=_fingerprint(lease, members),
        positions=positions,
        orders=list_orders(merged, now_wall_ms, is_holder_silent=silent_s is not None),
        realised_today=sum((p.realised_today for p in positions), Decimal(0)) if is_known else None,
        daily_loss_limit=config.risk.daily_loss_limit,
        quote=_quote(config),
        last_takeover=takeover,
        topology=_topology(config),
        remarks=tuple(remarks),
    )


# --- who holds the lease ---------------------------------------------------------------------


def _epoch(seen: ClusterPeek, lease: _Lease) -> int | None:
    """Return the holder's epoch; without a holder the highest one that any store shows."""
    if lease.seen is not None:
        return lease.seen.epoch
    return max((s.record.epoch for s in seen.answered if s.record is not None), default=None)


def _silence(lease: _Lease, config: Config) -> float | None:
    """Return how long the holder has been silent, None while it is heard or there is none."""
    if lease.seen is None:
        return None
    patience_s = (2 * config.lease.renew_ms + config.lease.request_timeout_ms) / 1000
    return lease.seen.silent_s if lease.seen.silent_s > patience_s else None


def _takeover_in(lease: _Lease, silent_s: float | None, config: Config) -> float | None:
    if silent_s is None or lease.seen is None:
        return None
    ttl_s = max(lease.seen.ttl_ms, config.lease.ttl_ms) / 1000
    return max(0.0, ttl_s * (1 + config.lease.drift) - silent_s)


def _judge(
    lease: _Lease,
    members: Mapping[str, MemberReading],
    latches: Latches,
    silent_s: float | None,
    spares: tuple[str, ...],
    config: Config,
) -> Verdict:
    if not lease.is_known:
        return Verdict.UNKNOWN
    if lease.holder is None or silent_s is not None or latches.is_paused:
        return Verdict.NOBODY
    member = members.get(lease.holder)
    if member is None or member.age_s > MEMBER_FRESH_S:
        return Verdict.UNKNOWN
    waiting = _waiting(member)
    symbols = {symbol for strategy in config.strategies for symbol in strategy.symbols}
    if role_of(member) is not Role.ACTIVE or (waiting and symbols <= set(waiting)):
        return Verdict.NOBODY
    return Verdict.TRADING if spares and not waiting else Verdict.TRADING_ALONE


def _waiting(member: MemberReading) -> tuple[str, ...]:
    """Return the symbols in which a node decides nothing until a person accepts the strategy."""
    return texts_of(member.body.get("unaccepted"))


def _headline(  # noqa: PLR0911  (one line for each thing that can be the first to say)
    verdict: Verdict,
    seen: ClusterPeek,
    lease: _Lease,
    members: Mapping[str, MemberReading],
    latches: Latches,
    silent_s: float | None,
) -> str:
    """Return in a few words why the verdict is what it is."""
    if not lease.is_known:
        return _few(seen)
    if lease.holder is None:
        return "nobody holds the lease"
    if silent_s is not None:
        return f"silent for {silent_s:.1f} s"
    if latches.is_paused:
        return "not trading"
    if verdict is Verdict.UNKNOWN:
        return "it holds the lease but says nothing about itself"
    waiting = _waiting(members[lease.holder])
    if waiting and role_of(members[lease.holder]) is Role.ACTIVE:
        return f"a person must accept the strategy for {', '.join(waiting)}"
    if verdict is Verdict.NOBODY:
        return PEOPLES_WORDS[role_of(members[lease.holder])]
    return "new risk is off: daily loss limit" if latches.is_loss_latched else "trading"


def _few(seen: ClusterPeek) -> str:
    count, total = len(seen.answered), len(seen.stores)
    if total == 1:
        return "the only store does not answer"
    if count >= seen.quorum.size:
        return f"store {seen.quorum.needed} does not answer, and every decision needs it now"
    return f"{count or 'none'} of {total} stores {'answers' if count == 1 else 'answer'}"


# --- what does not fit together ----------------------------------------------------------------


def _compare(
    seen: ClusterPeek,
    members: Mapping[str, MemberReading],
    config: Config,
    lease: _Lease,
) -> list[str]:
    remarks = [f"not seen: {s.error}" for s in seen.stores if s.error is not None]
    if not lease.is_known:
        ttl_s = config.lease.ttl_ms / 1000
        rest = "" if len(config.stores) > 1 else ", unless the other node has stood down"
        remarks.append(f"without a majority of the stores a holder stops after {ttl_s:g} s{rest}")
    if not seen.answered:
        return [*remarks, "nodes, positions and orders are kept in the stores: not seen"]
    fresh = {n: m for n, m in members.items() if m.age_s <= MEMBER_FRESH_S}
    remarks += [
        f"{n} has another store list than this machine's cluster.toml: make them equal"
        for n, m in sorted(fresh.items())
        if config.list_ids.isdisjoint(list_ids_of(m.body) or config.list_ids)
    ]
    remarks += [
        f"{n} does not hear {m.body.get('peer')} directly: {m.body['peer_error']}"
        for n, m in sorted(fresh.items())
        if m.body.get("peer_error")
    ]
    remarks += [
        f"{n} trades on by the promise of {m.body['relies_on']}, who has stood down"
        for n, m in sorted(fresh.items())
        if m.body.get("relies_on")
    ]
    for key, words in (
        ("fingerprint", "strategy or limits"),
        ("account", "account"),
        ("version", "release"),
    ):
        values = {n: str(m.body[key]) for n, m in sorted(fresh.items()) if m.body.get(key)}
        if len(set(values.values())) > 1:
            listed = ", ".join(f"{n} {v}" for n, v in values.items())
            remarks.append(f"the nodes differ in {words}: {listed}")
    remarks += [
        f"{n} is not in this machine's cluster.toml" for n in fresh if n not in config.nodes
    ]
    holder = lease.holder
    waiting = _waiting(members[holder]) if holder is not None and holder in members else ()
    if waiting:
        remarks.append(
            f"nothing is decided in {', '.join(waiting)}: strategy or limits differ from the last "
            "leader's; if they are as you want them: nodectl resume --accept-strategy"
        )
    if holder is not None and holder not in members:
        remarks.append(f"{holder} holds the lease but is not on the member board")
    return remarks


def _since(
    lease: _Lease, takeover: TakeoverLine | None, members: Mapping[str, MemberReading]
) -> int | None:
    if lease.seen is None:
        return None
    if takeover is not None and takeover.epoch == lease.seen.epoch:
        return takeover.at_wall_ms
    member = members.get(lease.seen.node_id)
    since = number_or_none(member.body.get("since_wall_ms")) if member is not None else None
    return None if since is None else int(since)


# --- stores, topology ----------------------------------------------------------------------------


def _fingerprint(lease: _Lease, members: Mapping[str, MemberReading]) -> str:
    """Return what the holder runs; without a holder what the freshest node would run."""
    holder = members.get(lease.holder or "")
    freshest = min(members.values(), key=lambda member: member.age_s, default=None)
    chosen = holder or freshest
    return "" if chosen is None else str(chosen.body.get("fingerprint", ""))


def _store_line(store: StorePeek) -> StoreLine:
    record = store.record
    is_held = record is not None and record.state is LeaseState.HELD
    return StoreLine(
        name=store.name,
        address=store.address_text,
        error=store.error or "",
        names=str(record.node_id) if record is not None and is_held else "",
        epoch=None if record is None else record.epoch,
        state="" if record is None else str(record.state),
        age_s=store.record_age_s,
        server=store.server_version,
        is_needed=store.is_needed,
    )


def _topology(config: Config) -> str:
    is_quiet = config.cluster.topology is not Topology.TWO_BOXES and not config.cluster.grown_from
    return "" if is_quiet or config.cluster.accept_standby_risk else topology_sentence(config)


def _quote(config: Config) -> str:
    quotes = {s.split("/")[1] for strategy in config.strategies for s in strategy.symbols}
    return quotes.pop() if len(quotes) == 1 else "quote"

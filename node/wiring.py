"""The composition root: configuration and secrets in, a running node out.

Rules of this file: only here do the packages meet and are edges chosen; it decides nothing else.
What can be refused before anything runs is refused here, in words.
"""

import asyncio
import os
import signal
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from alerts.sender import AlertSender
from election.errors import FenceUnavailable, IdentityRefused
from election.fence_note import previous_end
from election.heartbeat import Heartbeat
from election.kernel_fence import NoFence
from election.model import Deposed, Identity, Lapsed, LeaseEvent, NodeId
from election.ports import Fence
from election.promise import PromiseMemory, PromiseState, describe
from election.state_lock import StateClaim
from exchange.errors import ConfigurationRefused, JournalError
from exchange.orders import PathTiming
from exchange.risk import RiskLimits
from node.bench import Seat, bench_fingerprint, build_bench
from node.cluster_watch import ClusterWatch
from node.config_model import Config
from node.edges import Edges, Link
from node.errors import NodeRefused
from node.health import Health
from node.latches import STORES
from node.logs import LogHandle, log_event, setup_logs
from node.mailbox import LeaseMailbox
from node.member import member_body
from node.parts import NodeParts
from node.peer_picture import picture_body
from node.peer_rules import peer_sentence
from node.phone import LogObserver
from node.predecessor import release_for_predecessor
from node.promise_doubt import BoardWord, PromiseDoubt
from node.real_edges import RealEdges
from node.reporter import Reporter
from node.runtime import Runtime
from node.secrets import Secrets
from node.shift_times import DeliveryObserver, ShiftTimes
from node.state_files import CONTROL_FILE, JOURNAL_FILE
from node.teller import Teller
from node.topology import topology_warnings
from node.trader import TraderParts
from node.version import program_version
from strategy.errors import StrategyRefused

WATCH_INTERVAL_S = 1.0
# Three beats of the member board and one slow round: one lost beat is no lost node.
FRESH_S = 5.0
THREADS = 32


def run_node(config: Config, secrets: Secrets, node_id: str) -> int:
    """Run one node until it is asked to stop; return the exit code.

    Raises:
        NodeRefused: it may not start; the message says what to mend.
    """
    state_dir = config.node_state_dir(node_id)
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise NodeRefused(
            f"{state_dir}: the state directory cannot be made: {error.strerror}\n"
            "    → make it writable for the user that runs the node, or set state_dir"
        ) from error
    try:
        claim = StateClaim(state_dir)
    except IdentityRefused as error:
        raise NodeRefused(str(error)) from error
    with claim:
        log = setup_logs(
            config.log,
            directory=config.log_dir(node_id),
            secret_values=secrets.all_values(),
            environ=os.environ,
            node=node_id,
        )
        try:
            return asyncio.run(_run(config, secrets, node_id, os.environ, state_dir, log))
        finally:
            log.close()


async def _run(
    config: Config,
    secrets: Secrets,
    node_id: str,
    environ: Mapping[str, str],
    state_dir: Path,
    log: LogHandle,
) -> int:
    log_event(
        "node.starting",
        version=program_version(),
        profile=config.cluster.profile.value,
        config_id=config.config_id,
    )
    ended = previous_end(state_dir)
    if ended:
        log_event("node.previous_end", reason=ended)
    # The claim is this process's: whoever held a grant here is dead, with or without a stop hook.
    release_for_predecessor(state_dir, secrets)
    silence = peer_sentence(config, has_key=secrets.peer_key() is not None)
    for warning in (*topology_warnings(config), *filter(None, [silence])):
        log_event("config.warning", reason=warning)
    try:
        edges = RealEdges(
            config, secrets, node_id=node_id, environ=environ, state_dir=state_dir, log=log
        )
        runtime = build_runtime(config, node_id, edges)
    except NodeRefused as error:
        log_event("node.refused", reason=str(error))
        raise
    loop = asyncio.get_running_loop()
    # Name look-ups of HTTP clients wait in the same pool as the journal's writes: on a board with
    # four cores the default of eight threads could all be stuck in a DNS outage.
    loop.set_default_executor(ThreadPoolExecutor(THREADS, thread_name_prefix="work"))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, runtime.ask_to_stop, f"{number.name} was received")
    try:
        return await runtime.run()
    except Exception as error:  # for the log alone: it goes on
        log_event("node.crashed", error=error)
        raise


def build_runtime(config: Config, node_id: str, edges: Edges) -> Runtime:
    """Put the node together from its edges; nothing is started yet.

    Raises:
        NodeRefused: a part cannot be built; the message says what to mend.
    """
    health = Health()
    identity = Identity(
        cluster_id=config.cluster_id,
        config_id=config.config_id,
        node_id=NodeId(node_id),
        nonce=edges.new_nonce(),
        label=config.label_of(node_id),
    )
    mailbox = LeaseMailbox(asyncio.get_running_loop())
    runtimes: list[Runtime] = []

    def publish(event: LeaseEvent) -> None:
        if isinstance(event, Lapsed | Deposed) and runtimes:
            runtimes[0].shift.note_over(event.epoch)
            mailbox.run_soon(heartbeat.settle_unless_hung)
        mailbox.publish(event)

    memory = edges.promise_memory()
    heartbeat = Heartbeat(
        identity=identity,
        timing=config.timing(),
        stores=edges.lease_stores(),
        epoch_file=edges.epoch_file(),
        fence=_build_fence(edges, health),
        clock=edges.clock,
        on_event=publish,
        random_source=edges.chance,
        note=edges.fence_note(),
        grant_note=edges.grant_note(identity),
        build_crew=edges.build_crew,
        needed=config.quorum.needed,
        stood_down=describe(memory, {n: config.label_of(n) for n in config.nodes}),
    )
    peer = edges.peer(heartbeat, memory)
    ledger = edges.ledger(identity, heartbeat.grant_incarnations)
    members = edges.members()
    try:
        seats = build_bench(config, edges.worker, edges.load_strategy)
        link = _build_link(edges, heartbeat)
        disk = edges.journal_disk(JOURNAL_FILE)
        control_disk = edges.journal_disk(CONTROL_FILE)
        restored = edges.restored_controls()
    except (StrategyRefused, ConfigurationRefused, JournalError) as error:
        raise NodeRefused(str(error)) from error
    fingerprint = bench_fingerprint(seats)
    times = ShiftTimes(edges.monotonic_s, link.clock.now_ms)
    watch: ClusterWatch = ClusterWatch(
        control=edges.control(),
        board=members,
        disk=control_disk,
        restored=restored,
        is_marked_new=edges.is_marked_new,
        node_id=NodeId(node_id),
        nonce=identity.nonce,
        body=lambda: {
            **member_body(
                config,
                node_id,
                health,
                fingerprint,
                is_paused=watch.latches.is_paused,
                now_wall_ms=edges.wall_ms(),
                shift=times.board(),
                now_s=edges.monotonic_s(),
                step_age_s=heartbeat.progress_age_s(),
                stores_answered=watch.stores_answered if watch.has_looked else None,
                joins_in_s=heartbeat.peer_facts().joins_in_s if config.old_list_id else 0.0,
                venue_now_ms=link.clock.now_ms(),
            ),
            **picture_body(None if peer is None else peer.picture()),
            "stores_kept": watch.kept_version(STORES),
        },
        wall_ms=edges.wall_ms,
        monotonic_s=edges.monotonic_s,
    )
    sender = AlertSender(
        edges.outbox(),
        edges.alert_channel(),
        observer=DeliveryObserver(LogObserver(), times),
        now_s=edges.monotonic_s,
        wall_ms=edges.wall_ms,
        chance=edges.chance,
    )
    teller = Teller(
        sender,
        cluster=config.cluster_id,
        node_id=node_id,
        epoch=lambda: heartbeat.permit.epoch,
        wall_ms=edges.wall_ms,
    )
    reporter = Reporter(
        teller, strategies={seat.symbol: seat.strategy.declaration.name for seat in seats}
    )
    parts = NodeParts(
        config=config,
        node_id=node_id,
        identity=identity,
        addresses=edges.addresses,
        heartbeat=heartbeat,
        mailbox=mailbox,
        link=link,
        ledger=ledger,
        members=members,
        peer=peer,
        promise_doubt=_promise_doubt(config, node_id, edges, heartbeat, memory)
        if peer is None
        else None,
        watch=watch,
        disk=disk,
        seats=seats,
        fingerprint=fingerprint,
        trader_parts=_trader_parts(config, node_id, edges, link, seats, heartbeat, reporter),
        health=health,
        sender=sender,
        teller=teller,
        reporter=reporter,
        times=times,
        telegram=edges.telegram,
        notifier=edges.supervisor,
        probe=edges.probe(),
        log=edges.log,
        last_trading=edges.trading_memory(),
        moves=edges.move_memory(),
        load_backup_note=edges.load_backup_note,
        crashes=edges.crash_keeper(),
        pingers=edges.pingers(),
        started_wall_ms=edges.wall_ms(),
        watch_interval_s=WATCH_INTERVAL_S,
        fresh_s=FRESH_S,
        wall_ms=edges.wall_ms,
        monotonic_s=edges.monotonic_s,
    )
    runtimes.append(Runtime(parts))
    return runtimes[0]


def _trader_parts(
    config: Config,
    node_id: str,
    edges: Edges,
    link: Link,
    seats: tuple[Seat, ...],
    heartbeat: Heartbeat,
    reporter: Reporter,
) -> TraderParts:
    return TraderParts(
        venue=link.venue,
        gateway=link.gateway,
        warm=link.gateway.warm,
        permit=heartbeat.permit,
        seats=seats,
        limits=RiskLimits(**config.risk.model_dump()),
        timing=PathTiming(write_ms=config.venue.write_timeout_ms),
        cluster_id=config.cluster_id,
        node_id=node_id,
        effect_tail_ms=link.effect_tail_ms,
        is_disk_optional=len(config.stores) > 1,
        reporter=reporter,
        on_step=heartbeat.progress,
        wall_ms=edges.wall_ms,
        monotonic_s=edges.monotonic_s,
    )


def _promise_doubt(
    config: Config, node_id: str, edges: Edges, heartbeat: Heartbeat, memory: PromiseMemory
) -> PromiseDoubt | None:
    if memory.state is not PromiseState.UNKNOWN:
        return None
    others = frozenset(NodeId(n) for n in config.nodes if n != node_id)
    return PromiseDoubt(heartbeat=heartbeat, word=BoardWord(others), forget=edges.forget_promise)


def _build_fence(edges: Edges, health: Health) -> Fence:
    try:
        return edges.fence()
    except FenceUnavailable as error:
        health.fence_error = str(error)
        return NoFence()


def _build_link(edges: Edges, heartbeat: Heartbeat) -> Link:
    return edges.venue_link(
        permit=heartbeat.permit,
        on_step=heartbeat.progress,
        # Nothing to journal: for every reader the intent may have been sent, which is the truth
        # that reconcile starts from; whoever was cancelled does not trade any more.
        on_late_outcome=lambda cid, result: log_event(
            "order.late",
            client_order_id=cid,
            outcome=result.outcome.value,
            reason=result.reason,
        ),
    )

"""The composition root: configuration and secrets in, a running node out.

Rules of this file: only here do the packages meet and are edges chosen; it decides nothing else.
What can be refused before anything runs is refused here, in words.
"""

import asyncio
import os
import secrets as random_secrets
import signal
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from alerts.console import ConsoleSender
from alerts.durable import DurableOutbox
from alerts.ports import Sender
from alerts.sender import AlertSender
from alerts.telegram import TelegramApi, TelegramSender
from election.address import StoreAddress
from election.clock import KernelClock
from election.epoch_file import DiskEpochFile
from election.errors import FenceUnavailable, IdentityRefused
from election.fence_note import FenceNote, previous_end
from election.heartbeat import Heartbeat
from election.kernel_fence import KernelFence, NoFence
from election.model import Deposed, Identity, Lapsed, LeaseEvent, NodeId, StoreName
from election.ports import Fence
from election.redis_control import ControlBoard
from election.redis_ledger import RedisLedger
from election.redis_members import MemberBoard
from election.redis_store import RedisStore
from election.state_lock import StateClaim
from exchange.ccxt_link import VenueLink, build_link
from exchange.errors import ConfigurationRefused, JournalError
from exchange.journal_file import JournalFile
from exchange.orders import PathTiming
from exchange.risk import RiskLimits
from exchange.venues import VenueSettings
from node.bench import Seat, bench_fingerprint, build_bench
from node.cluster_watch import MARKER, ClusterWatch
from node.config_model import Config
from node.errors import NodeRefused
from node.health import Health
from node.logs import LogHandle, log_event, setup_logs
from node.mailbox import LeaseMailbox
from node.member import member_body
from node.outage import LastTrading
from node.parts import NodeParts
from node.phone import LogObserver
from node.reporter import Reporter
from node.resources import ResourceProbe
from node.runtime import Runtime
from node.secrets import Secrets
from node.systemd import Notifier
from node.teller import Teller
from node.topology import topology_warnings
from node.trader import TraderParts
from node.version import program_version
from strategy.errors import StrategyRefused

WATCH_INTERVAL_S = 1.0
# Three beats of the member board and one slow round: one lost beat is no lost node.
FRESH_S = 5.0
JOURNAL_FILE = "journal"
CONTROL_FILE = "control"
EPOCH_FILE = "epoch.json"
OUTBOX_FILE = "outbox.jsonl"
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
    for warning in topology_warnings(config):
        log_event("config.warning", reason=warning)
    try:
        runtime = build_runtime(config, secrets, node_id, environ, state_dir, log)
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
    except Exception as error:
        log_event("node.crashed", error=error)
        raise


def build_runtime(
    config: Config,
    secrets: Secrets,
    node_id: str,
    environ: Mapping[str, str],
    state_dir: Path,
    log: LogHandle,
) -> Runtime:
    """Put the node together; nothing is started yet.

    Raises:
        NodeRefused: a part cannot be built; the message says what to mend.
    """
    health = Health()
    identity = Identity(
        cluster_id=config.cluster_id,
        config_id=config.config_id,
        node_id=NodeId(node_id),
        nonce=random_secrets.token_hex(16),
        label=config.label_of(node_id),
    )
    addresses = store_addresses(config, secrets)
    mailbox = LeaseMailbox(asyncio.get_running_loop())
    timeout_ms = config.lease.request_timeout_ms
    runtimes: list[Runtime] = []

    def publish(event: LeaseEvent) -> None:
        if isinstance(event, Lapsed | Deposed) and runtimes:
            runtimes[0].shift.note_over(event.epoch)
        mailbox.publish(event)

    heartbeat = Heartbeat(
        identity=identity,
        timing=config.timing(),
        stores=[
            RedisStore(address, cluster_id=config.cluster_id, request_timeout_ms=timeout_ms)
            for address in addresses
        ],
        epoch_file=DiskEpochFile(state_dir / EPOCH_FILE),
        fence=_build_fence(config, health),
        clock=KernelClock(),
        on_event=publish,
        note=FenceNote(state_dir),
    )
    ledger = RedisLedger(
        addresses,
        cluster_id=config.cluster_id,
        identity=identity,
        incarnations=heartbeat.grant_incarnations,
        request_timeout_ms=timeout_ms,
    )
    members = MemberBoard(addresses, cluster_id=config.cluster_id, request_timeout_ms=timeout_ms)
    try:
        seats = build_bench(config)
        link = _build_link(config, secrets, heartbeat)
        disk = _open_journal(state_dir / JOURNAL_FILE)
        control_disk = _open_journal(state_dir / CONTROL_FILE)
    except (StrategyRefused, ConfigurationRefused, JournalError) as error:
        raise NodeRefused(str(error)) from error
    fingerprint = bench_fingerprint(seats)

    def wall_ms() -> int:
        return time.time_ns() // 1_000_000

    watch: ClusterWatch = ClusterWatch(
        control=ControlBoard(addresses, config.cluster_id, timeout_ms),
        board=members,
        disk=control_disk,
        marker=config.directory / MARKER,
        node_id=NodeId(node_id),
        nonce=identity.nonce,
        body=lambda: member_body(
            config, node_id, health, fingerprint, is_paused=watch.latches.is_paused
        ),
        wall_ms=wall_ms,
        monotonic_s=time.monotonic,
    )
    telegram = _build_telegram(config, secrets)
    sender = AlertSender(
        DurableOutbox(state_dir / OUTBOX_FILE),
        _build_sender(config, telegram),
        observer=LogObserver(),
    )
    teller = Teller(
        sender,
        cluster=config.cluster_id,
        node_id=node_id,
        epoch=lambda: heartbeat.permit.epoch,
        wall_ms=wall_ms,
    )
    reporter = Reporter(
        teller, strategies={seat.symbol: seat.strategy.declaration.name for seat in seats}
    )
    parts = NodeParts(
        config=config,
        node_id=node_id,
        identity=identity,
        addresses=addresses,
        heartbeat=heartbeat,
        mailbox=mailbox,
        link=link,
        ledger=ledger,
        members=members,
        watch=watch,
        disk=disk,
        seats=seats,
        fingerprint=fingerprint,
        trader_parts=_trader_parts(config, node_id, link, seats, heartbeat, reporter),
        health=health,
        sender=sender,
        teller=teller,
        reporter=reporter,
        telegram=telegram,
        notifier=Notifier(environ),
        probe=ResourceProbe(state_dir),
        log=log,
        last_trading=LastTrading(state_dir),
        state_dir=state_dir,
        started_wall_ms=wall_ms(),
        watch_interval_s=WATCH_INTERVAL_S,
        fresh_s=FRESH_S,
        wall_ms=wall_ms,
        monotonic_s=time.monotonic,
    )
    runtimes.append(Runtime(parts))
    return runtimes[0]


def store_addresses(config: Config, secrets: Secrets) -> tuple[StoreAddress, ...]:
    """Return where the stores are and how to log in."""
    return tuple(
        StoreAddress(
            name=StoreName(store.name),
            host=store.host,
            port=store.port,
            username=store.username,
            password=secrets.store_password(store.name),
        )
        for store in config.stores
    )


def _trader_parts(
    config: Config,
    node_id: str,
    link: VenueLink,
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
        effect_tail_ms=link.row.effect_tail_ms,
        is_disk_optional=len(config.stores) > 1,
        reporter=reporter,
        on_step=heartbeat.progress,
        wall_ms=lambda: time.time_ns() // 1_000_000,
        monotonic_s=time.monotonic,
    )


def _build_fence(config: Config, health: Health) -> Fence:
    if not config.lease.is_fence_enabled:
        return NoFence()
    try:
        return KernelFence()
    except FenceUnavailable as error:
        health.fence_error = str(error)
        return NoFence()


def _build_link(config: Config, secrets: Secrets, heartbeat: Heartbeat) -> VenueLink:
    api_key, api_secret = secrets.venue_key()
    venue = config.venue
    settings = VenueSettings(
        exchange_id=venue.exchange,
        api_key=api_key,
        api_secret=api_secret,
        symbols=tuple(symbol for s in config.strategies for symbol in s.symbols),
        base_url=venue.base_url,
        is_sandbox=venue.is_sandbox,
        recv_window_ms=venue.recv_window_ms,
        read_budget_s=venue.read_budget_s,
        write_timeout_s=venue.write_timeout_ms / 1000,
    )
    return build_link(
        settings,
        permit=heartbeat.permit,
        boot_s=lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
        monotonic_s=time.monotonic,
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


def _open_journal(path: Path) -> JournalFile:
    journal = JournalFile.open(path)
    for warning in journal.warnings:
        log_event("journal.corrupt", reason=warning)
    return journal


def _build_telegram(config: Config, secrets: Secrets) -> TelegramApi | None:
    token = secrets.telegram_token()
    if token is None or config.telegram.chat_id is None:
        return None
    return TelegramApi(token=token, base_url=f"{config.telegram.api_url.rstrip('/')}/bot")


def _build_sender(config: Config, telegram: TelegramApi | None) -> Sender:
    if telegram is None:
        return ConsoleSender(sys.stderr)
    return TelegramSender(telegram, chat_id=str(config.telegram.chat_id))

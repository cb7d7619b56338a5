"""The edges of this machine: its clocks and disks, the configured stores, venue and channel.

Rules of this file: it chooses edges and builds them from configuration and secrets; it decides
nothing else, and starts nothing.
"""

import contextlib
import random
import secrets as random_secrets
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from alerts.console import ConsoleSender
from alerts.durable import DurableOutbox
from alerts.ports import Sender
from alerts.telegram import TelegramApi, TelegramSender
from election.clock import KernelClock
from election.crew import BuildCrew
from election.cut import PEER, StoreCut
from election.epoch_file import DiskEpochFile
from election.errors import PromiseFileUnusable
from election.fence_note import FenceNote
from election.grant_note import GrantNote
from election.heartbeat import Heartbeat
from election.kernel_fence import KernelFence, NoFence
from election.model import Identity, Incarnation, StoreName
from election.ports import EpochFile, Fence, LeaseStore
from election.promise import NOTHING_PROMISED, PromiseMemory, PromiseState
from election.promise_file import DiskPromiseFile
from election.redis_control import ControlBoard
from election.redis_ledger import RedisLedger
from election.redis_members import MemberBoard
from election.redis_store import RedisStore
from election.thread_crew import ThreadCrew
from exchange.ccxt_link import VenueLink, build_link
from exchange.journal_file import JournalFile
from exchange.model import ClientOrderId, WriteResult
from exchange.ports import Permit
from exchange.venues import venue_row
from node.backup.note import BACKUPS_VARIABLE, BackupNote, read_note
from node.cluster_watch import MARKER
from node.config_model import Config, Topology
from node.crash_file import CrashDesk
from node.deadman import Watched
from node.deadman_http import HttpPinger
from node.logs import LogHandle, log_event
from node.move_memory import DiskMoves
from node.outage import LastTrading
from node.peer_post import PeerPost
from node.peer_rules import PAIR, other_node
from node.resources import ResourceProbe
from node.restored import RestoredControls
from node.secrets import Secrets, secrets_path
from node.starts import Chat
from node.starts_file import keep_ready
from node.state_files import EPOCH_FILE, OUTBOX_FILE, PROMISE_FILE
from node.store_addresses import store_addresses
from node.systemd import Notifier
from node.venue_settings import venue_settings
from strategy.loading import LoadedStrategy, load_strategy
from strategy.worker import StrategyWorker

# From the kernel: two boxes that boot alike must not back off in step.
_CHANCE = random.SystemRandom()


def wall_ms() -> int:
    """Return Unix time in milliseconds."""
    return time.time_ns() // 1_000_000


class RealEdges:
    """Satisfies `node.edges.Edges` on this machine."""

    def __init__(
        self,
        config: Config,
        secrets: Secrets,
        *,
        node_id: str,
        environ: Mapping[str, str],
        state_dir: Path,
        log: LogHandle,
    ) -> None:
        """Bind what edges are built from; `state_dir` exists and is claimed."""
        self._config = config
        self._secrets = secrets
        self._node_id = node_id
        self._environ = environ
        self._state_dir = state_dir
        self._timeout_ms = config.lease.request_timeout_ms
        self._started_ms = wall_ms()
        self.log = log
        self.clock = KernelClock()
        chat = _chat_of(config, secrets)
        self.supervisor = Notifier(environ, on_ready=lambda: keep_ready(state_dir, environ, chat))
        self._cut = cut = StoreCut()
        self.addresses = tuple(replace(a, cut=cut) for a in store_addresses(config, secrets))
        self.build_crew: BuildCrew = ThreadCrew
        self.telegram = _build_telegram(config, secrets)

    def wall_ms(self) -> int:
        """Return Unix time."""
        return wall_ms()

    def monotonic_s(self) -> float:
        """Return monotonic seconds."""
        return time.monotonic()

    def chance(self) -> float:
        """Return a random number in [0, 1)."""
        return _CHANCE.random()

    def new_nonce(self) -> str:
        """Return 128 random bits."""
        return random_secrets.token_hex(16)

    def fence(self) -> Fence:
        """Return the kernel fence, or none where the configuration switches it off.

        Raises:
            FenceUnavailable: the kernel does not offer it.
        """
        return KernelFence() if self._config.lease.is_fence_enabled else NoFence()

    def fence_note(self) -> FenceNote | None:
        """Return the note in the state directory."""
        return FenceNote(self._state_dir)

    def grant_note(self, identity: Identity) -> GrantNote:
        """Return the note in the state directory, with all that a stop hook needs."""
        config = self._config
        link_row = venue_row(config.venue.exchange)
        own_users = {s.name: s.release_username for s in config.stores if s.release_username}
        return GrantNote(
            self._state_dir,
            identity=identity,
            addresses=self.addresses,
            facts={
                "window_ms": config.venue.recv_window_ms,
                "effect_tail_ms": link_row.effect_tail_ms,
                "secrets": str(secrets_path(config, self._node_id, self._environ)),
                "release_users": own_users,
            },
        )

    def crash_keeper(self) -> CrashDesk:
        """Return the crash book in the state directory."""
        return CrashDesk(self._state_dir)

    def lease_stores(self) -> Sequence[LeaseStore]:
        """Return a client of each store."""
        return [
            RedisStore(
                address, cluster_id=self._config.cluster_id, request_timeout_ms=self._timeout_ms
            )
            for address in self.addresses
        ]

    def epoch_file(self) -> EpochFile:
        """Return the epoch in the state directory."""
        return DiskEpochFile(self._state_dir / EPOCH_FILE)

    def promise_memory(self) -> PromiseMemory:
        """Return what the state directory remembers of a promise.

        A disk without memory is a question only where a promise could have been given: a pair on
        two boxes with one store, also while it grows. That this box has no key or no hosts proves
        nothing: its earlier card may have had them.
        """
        file = DiskPromiseFile(self._state_dir / PROMISE_FILE)
        memory = file.load()
        if file.warning:
            log_event("promise.unreadable", reason=file.warning)
        is_single = self._config.cluster.topology is Topology.SINGLE_HOST
        had_one = len(self._config.stores) == 1 or bool(self._config.cluster.grown_from)
        could_have = len(self._config.nodes) == PAIR and had_one
        is_open = memory.state is PromiseState.UNKNOWN and not file.warning
        if is_open and (is_single or not could_have):
            with contextlib.suppress(PromiseFileUnusable):  # then it is asked again next time
                self.forget_promise()
            return NOTHING_PROMISED
        return memory

    def forget_promise(self) -> None:
        """Remember in the state directory that nothing is promised."""
        DiskPromiseFile(self._state_dir / PROMISE_FILE).store(NOTHING_PROMISED)

    def peer(self, heartbeat: Heartbeat, memory: PromiseMemory) -> PeerPost | None:
        """Return the endpoint, None where addresses or key are missing."""
        peer, key = self._peer_id(), self._secrets.peer_key()
        if peer is None or key is None:
            return None
        return PeerPost(
            self._config,
            heartbeat=heartbeat,
            peer=peer,
            key=key,
            file=DiskPromiseFile(self._state_dir / PROMISE_FILE),
            memory=memory,
            new_id=lambda: random_secrets.token_hex(16),
            tell=lambda name, fields: log_event(name, **fields),
            is_cut=lambda: self._cut.is_cut(PEER),
        )

    def _peer_id(self) -> str | None:
        has_key = self._secrets.peer_key() is not None
        return other_node(self._config, self._node_id) if has_key else None

    def ledger(
        self, identity: Identity, incarnations: Callable[[], Mapping[StoreName, Incarnation]]
    ) -> RedisLedger:
        """Return the fenced journal documents in the stores."""
        return RedisLedger(
            self.addresses,
            cluster_id=self._config.cluster_id,
            identity=identity,
            incarnations=incarnations,
            request_timeout_ms=self._timeout_ms,
        )

    def control(self) -> ControlBoard:
        """Return the control records in the stores."""
        return ControlBoard(self.addresses, self._config.cluster_id, self._timeout_ms)

    def members(self) -> MemberBoard:
        """Return the member board in the stores."""
        return MemberBoard(
            self.addresses,
            cluster_id=self._config.cluster_id,
            request_timeout_ms=self._timeout_ms,
        )

    def journal_disk(self, name: str) -> JournalFile:
        """Open a journal file in the state directory.

        Raises:
            JournalError: it cannot be read or written; the message says how to mend it.
        """
        journal = JournalFile.open(self._state_dir / name)
        for warning in journal.warnings:
            log_event("journal.corrupt", reason=warning)
        return journal

    def restored_controls(self) -> RestoredControls | None:
        """Return what `nodectl restore` left in the state directory.

        Raises:
            JournalError: it cannot be read.
        """
        return RestoredControls.found_in(self._state_dir)

    def is_marked_new(self) -> bool:
        """Tell whether the marker of `nodectl init` lies beside cluster.toml."""
        return (self._config.directory / MARKER).exists()

    def move_memory(self) -> DiskMoves:
        """Return the file in the state directory."""
        return DiskMoves(self._state_dir)

    def trading_memory(self) -> LastTrading:
        """Return the memory in the state directory."""
        return LastTrading(self._state_dir)

    def load_backup_note(self) -> BackupNote | None:
        """Return the note in the state directory; one is awaited where a timer makes backups."""
        awaited = BackupNote(good_ms=self._started_ms, tried_ms=0)
        return read_note(self._state_dir) or (
            awaited if self._environ.get(BACKUPS_VARIABLE) else None
        )

    def probe(self) -> ResourceProbe:
        """Return the probe of this process and the state directory's disk."""
        return ResourceProbe(self._state_dir)

    def pingers(self) -> Mapping[Watched, HttpPinger]:
        """Return the dead-man URLs of this node's secrets."""
        timeout_s = self._config.deadman.timeout_s
        return {
            Watched(name): HttpPinger(url, timeout_s=timeout_s)
            for name, url in self._secrets.deadman_urls().items()
        }

    def load_strategy(
        self, source: str, parameters: Mapping[str, Any], *, base: Path
    ) -> LoadedStrategy:
        """Read a strategy from its file.

        Raises:
            StrategyRefused: with every problem found.
        """
        return load_strategy(source, parameters, base=base)

    def worker(self, loaded: LoadedStrategy, budget_s: float) -> StrategyWorker:
        """Return a worker process."""
        return StrategyWorker(loaded, budget_s=budget_s)

    def venue_link(
        self,
        *,
        permit: Permit,
        on_step: Callable[[str], None],
        on_late_outcome: Callable[[ClientOrderId, WriteResult], None],
    ) -> VenueLink:
        """Return the link through ccxt.

        Raises:
            ConfigurationRefused: the venue cannot be used in this way.
        """
        return build_link(
            venue_settings(self._config, self._secrets),
            permit=permit,
            boot_s=lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
            monotonic_s=time.monotonic,
            on_step=on_step,
            on_late_outcome=on_late_outcome,
        )

    def outbox(self) -> DurableOutbox:
        """Return the outbox in the state directory."""
        return DurableOutbox(self._state_dir / OUTBOX_FILE)

    def alert_channel(self) -> Sender:
        """Return the bot's chat, or the console where there is no bot."""
        if self.telegram is None:
            return ConsoleSender(sys.stderr)
        return TelegramSender(self.telegram, chat_id=str(self._config.telegram.chat_id))


def _chat_of(config: Config, secrets: Secrets) -> Chat | None:
    chat_id = config.telegram.chat_id
    if chat_id is None or secrets.telegram_token() is None:
        return None
    return Chat(chat_id=chat_id, api_url=config.telegram.api_url)


def _build_telegram(config: Config, secrets: Secrets) -> TelegramApi | None:
    token = secrets.telegram_token()
    if token is None or config.telegram.chat_id is None:
        return None
    return TelegramApi(token=token, base_url=f"{config.telegram.api_url.rstrip('/')}/bot")

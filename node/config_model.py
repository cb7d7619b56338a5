"""The configuration as one frozen tree: what `cluster.toml` may say, with units and reasons.

Rules of this file: shapes and bounds of single values only; what two values mean together is in
config_rules.py, where values come from is in config.py, what one box may use in config_box.py.
The string under each field is shown in error messages and printed in docs/configuration.md, so it
says effect, unit and why that default. Secrets are never here (secrets.py).
"""

import hashlib
from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PrivateAttr, StringConstraints

from election.model import LeaseTiming, StoreName
from election.quorum import Quorum
from node.config_box import DeadmanConfig, HealthConfig
from node.config_section import PositiveMs, Section

NAME_PATTERN = r"^[a-z][a-z0-9-]{0,30}$"  # safe in Redis keys, file names and unit names
SYMBOL_PATTERN = r"^[A-Z0-9]{1,20}/[A-Z0-9]{1,20}$"
# No "user:password@": this file is shown and copied, a secret in it would be too.
URL_PATTERN = r"^https?://[^\s/@]+(/\S*)?$"

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Symbol = Annotated[str, StringConstraints(pattern=SYMBOL_PATTERN)]
Url = Annotated[str, StringConstraints(pattern=URL_PATTERN)]
Money = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]


class Profile(StrEnum):
    """How serious it is; part of the cluster's name in Redis, so profiles never share a lease."""

    DEV = "dev"
    TEST = "test"
    PROD = "prod"


class Topology(StrEnum):
    """Where the lease stores live, which decides what the loss of a machine means."""

    SINGLE_HOST = "single-host"
    TWO_BOXES = "two-boxes"
    THREE_STORES = "three-stores"


class LogLevel(StrEnum):
    """Smallest level that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class ClusterConfig(Section):
    """Which cluster this is and what it is made of."""

    name: Name
    """Name of the pair, a to z, 0 to 9 and "-". Two clusters in one Redis differ by it."""

    profile: Profile = Profile.DEV
    """dev, test (paper or sandbox money) or prod (real money). Part of the cluster's name in Redis,
    so that a test node can never take the production lease. Default dev: the harmless one."""

    topology: Topology
    """single-host (everything on one machine, for trying; dev and test only), two-boxes (one store,
    on the standby's box) or three-stores (a store on each box and one on a witness)."""

    preferred_node: Name
    """Node that should trade when both are well. It is never given back by itself: one message
    says when it is fit again, and `nodectl switchover` hands over."""

    accept_standby_risk: bool = False
    """two-boxes only: true turns the warning that losing the standby's box stops trading into one
    quiet line. Default false: it must have been read once."""

    grown_from: Name | None = None
    """Only while a pair with one store becomes one with three: the name of that store. Every
    decision needs it then, so that the other node may still use the old list. Removed when both
    nodes have the new list (`nodectl stores settle`). Default none."""

    accept_no_peer: bool = False
    """prod without the peer endpoint: true accepts what then goes undetected. Default false."""


class NodeConfig(Section):
    """One of the two boxes."""

    label: str = Field(default="", max_length=40)
    """What people call the box ("Jetson in the hall"). Default: its node id."""

    index: int = Field(ge=0, le=35)
    """Number of the node, 0 to 35, unique in the cluster: the order in which nodes are shown, and
    a short name that stays when a label changes. (Client order ids carry a tag of the node id.)"""

    host: str | None = Field(default=None, min_length=1, max_length=253)
    """Address of the box at which it listens for the other node (peer endpoint): a fixed LAN
    address. Default none: the nodes do not speak directly. Needs peer.key in the secrets too."""

    peer_port: int = Field(default=7373, ge=1, le=65535)
    """TCP port of the peer endpoint. Default 7373; two nodes on one machine need two."""


class StoreConfig(Section):
    """One lease store: a Redis or Valkey server without replication and without persistence."""

    name: Name
    """Name of the store. A store that runs on a node's box carries that node's id, so that the
    topology can be checked and shown."""

    host: str = Field(min_length=1, max_length=253)
    """Address that *both* nodes use to reach it: a fixed LAN address or name. Loopback only with
    topology single-host, else each node would keep a private lease."""

    port: int = Field(default=6379, ge=1, le=65535)
    """TCP port. Default 6379, Redis' own."""

    username: str | None = None
    """ACL user, for Redis 6 and newer. Default none: the `default` user (all that Redis 4 has).
    The password is a secret (`stores.<name>.password` in the secrets file)."""

    release_username: str | None = None
    """ACL user of the stop hook, which may only release; used with the secret
    `stores.<name>.release_password`. Default none: the hook logs in as the node does."""


def store_list_id(stores: Iterable[StoreConfig]) -> str:
    """Return the hash of an ordered store list (R3)."""
    listed = "\n".join(f"{s.name} {s.host}:{s.port}" for s in stores)
    return hashlib.sha256(listed.encode()).hexdigest()[:16]


class LeaseConfig(Section):
    """Timing of the lease. Checked as sums: 2·renew + request_timeout + guard < 0.9·ttl."""

    ttl_ms: PositiveMs = 6000
    """Milliseconds that a silent holder keeps the lease; a power cut costs about this much.
    Default 6000: survives a stalled SD card or two lost renewals on home Wi-Fi."""

    renew_ms: PositiveMs = 1000
    """Milliseconds between renewals. Default ttl/6, so that several may be lost."""

    request_timeout_ms: PositiveMs = 800
    """Milliseconds one store request may take. Default 800: a slow board, not a slow network."""

    observe_ms: PositiveMs = 500
    """Milliseconds between two looks of the standby at the lease record. Default 500: adds at most
    that much to a takeover."""

    guard_ms: PositiveMs = 1000
    """Milliseconds between the end of the permit to send and the kernel fence. At least
    venue.write_timeout_ms, so that every request has ended before the fence. Default 1000."""

    hang_limit_ms: PositiveMs = 5000
    """Milliseconds the work loop may make no progress before it stops renewing. Default 5000:
    longer than any single bounded step."""

    drift: float = 0.02
    """Bound of the relative rate error of the two boxes' clocks. Default 0.02: crystals err by
    0.01 %; the rest is room for clock slewing on a board that has just booted."""

    is_fence_enabled: bool = True
    """Whether the kernel kills a process that outlives its lease. May be false in dev only, for
    breakpoints. Default true."""


class VenueConfig(Section):
    """The exchange and how it is spoken to."""

    exchange: str = Field(default="binance", pattern=r"^[a-z0-9]{2,30}$")
    """ccxt id of the exchange. Default binance (spot); others are refused with the list of those
    that have a row in the venue table."""

    base_url: Url | None = None
    """Address of a paper exchange or test server, such as http://192.168.1.20:8800. Default none:
    the exchange's own address. Refused in prod."""

    is_sandbox: bool = False
    """Use the exchange's own sandbox with sandbox keys. Default false. Refused in prod."""

    recv_window_ms: int = Field(default=1500, ge=700, le=60_000)
    """Milliseconds after which the venue itself refuses a late request; shortened to what is left
    of the permit. Default 1500: longer than a slow home link needs, shorter than a lease. Below
    700 nothing new could be placed."""

    read_budget_s: float = Field(default=4.0, ge=2, lt=5)
    """Seconds one read may take with all its retries. Must stay below lease.hang_limit_ms.
    Default 4: two attempts of 1.8 s and the wait between them."""

    reconcile_interval_ms: PositiveMs = 15_000
    """Milliseconds between two complete comparisons of the journal with the venue when nothing
    seems to happen. Default 15000: fills are seen within it, request weights stay low."""

    cycle_ms: PositiveMs = 1000
    """Milliseconds of one turn of the work loop. Default 1000; the watchdog and the lease live on
    its progress."""

    write_timeout_ms: PositiveMs = 1000
    """Milliseconds one order request may take, connecting included; then its outcome is unknown.
    At most lease.guard_ms. Default 1000."""


class StrategyConfig(Section):
    """One strategy and what it trades. Each symbol belongs to exactly one strategy."""

    use: str = Field(min_length=1)
    """A shipped strategy (hold, trend, grid) or the path of your own .py file, relative to
    cluster.toml."""

    symbols: tuple[Symbol, ...] = Field(min_length=1)
    """Markets such as ["BTC/USDT"]. Named here even when the strategy has defaults, so that this
    file alone says what is traded."""

    timeframe: str | None = Field(default=None, pattern=r"^[1-9][0-9]{0,2}[smhdwM]$")
    """Candles it is called for, such as "5m". Default none: what the strategy declares."""

    parameters: dict[str, bool | int | Decimal | str] = Field(default_factory=dict)
    """The strategy's own parameters, checked against its declaration. Default: its defaults."""

    budget_ms: PositiveMs = 2000
    """Milliseconds one decision may take; a longer one is a skipped candle and an alert, never a
    failover. Must stay below lease.hang_limit_ms. Default 2000."""


class RiskConfig(Section):
    """Limits that no strategy can pass, in the quote currency. prod wants all of them set."""

    max_order_value: Money = Decimal(50)
    """Largest value of one order, quote currency. Default 50: small on purpose."""

    max_position_value: Money = Decimal(200)
    """Largest value held in one symbol, quote currency. Default 200."""

    max_open_orders: int = Field(default=10, ge=1, le=500)
    """Most orders that may rest at once, per symbol. Default 10: enough for a small grid."""

    max_orders_per_minute: int = Field(default=20, ge=1, le=600)
    """Most orders sent in 60 seconds; stops a strategy that runs wild. Default 20."""

    price_band_percent: Money = Decimal(5)
    """How far a limit price may be from the last price, in percent. Default 5: catches a slipped
    decimal point, keeps a grid."""

    daily_loss_limit: Money = Decimal(20)
    """Loss since midnight UTC, quote currency, at which new risk is latched off until a person
    resumes. Default 20."""


class TelegramConfig(Section):
    """Who is told. The bot's token is a secret (`telegram.token` in the secrets file)."""

    chat_id: int | None = None
    """Chat that gets the messages; `nodectl telegram test` finds it. Default none: messages go to
    the console, which prod refuses unless accept_no_alerts is true."""

    allowed_user_ids: tuple[int, ...] = ()
    """Telegram user ids that may send commands. Default none: nobody may."""

    api_url: Url = "https://api.telegram.org"
    """Address of the Bot API; another one only for an own Bot API server. Default: Telegram's."""

    accept_no_alerts: bool = False
    """prod without a chat: true says that nobody wants to be told. Default false."""


class LogConfig(Section):
    """Where events are written."""

    level: LogLevel = LogLevel.INFO
    """Smallest level written: debug, info, warning or error. Default info: role, lease and order
    changes; debug adds each tick."""

    directory: Path | None = None
    """Folder of the JSON lines, relative to cluster.toml. Default none: `log` in the node's state
    directory. People's lines always go to standard error, so to journald."""

    max_file_mb: int = Field(default=10, ge=1, le=1000)
    """Size in MB at which the JSON file is rotated. Default 10."""

    kept_files: int = Field(default=5, ge=1, le=100)
    """Rotated files that are kept; with max_file_mb it caps the space, which on an SD card matters.
    Default 5."""


class DrillPeriod(StrEnum):
    """How often a scheduled drill runs."""

    NEVER = "never"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class DrillsConfig(Section):
    """Drills: hurting the pair on purpose, so that the night is no experiment."""

    is_allowed: bool = True
    """Whether `nodectl drill` may hurt these nodes. Default true: it asks first, and needs a fit
    spare."""

    slack_ms: PositiveMs = 1000
    """Milliseconds beyond ttl·(1+drift) in which the other node must be ready, else a drill was
    late: the grant, reconciling, the venue's round trips. Default 1000."""

    switchover: DrillPeriod = DrillPeriod.NEVER
    """never, weekly or monthly: the leader hands over by itself in a planned drill, once in each
    week or month (UTC), and the other node goes on leading. Default never."""

    hours_utc: tuple[Annotated[int, Field(ge=0, le=23)], ...] = Field(default=(3, 4), min_length=1)
    """Hours of the day (UTC, by the venue's clock) in which a scheduled drill may begin. Default
    [3, 4]."""


class Config(Section):
    """The whole configuration. Built by `node.config.load_config`, which also checks the rules."""

    cluster: ClusterConfig
    nodes: dict[Name, NodeConfig] = Field(min_length=1)
    stores: tuple[StoreConfig, ...] = Field(min_length=1)
    lease: LeaseConfig = LeaseConfig()
    venue: VenueConfig = VenueConfig()
    strategies: tuple[StrategyConfig, ...] = Field(min_length=1)
    risk: RiskConfig = RiskConfig()
    telegram: TelegramConfig = TelegramConfig()
    log: LogConfig = LogConfig()
    health: HealthConfig = HealthConfig()
    deadman: DeadmanConfig = DeadmanConfig()
    drills: DrillsConfig = DrillsConfig()
    state_dir: Path = Path("state")
    """Folder for journal, epoch and logs, relative to cluster.toml; each node uses the folder of
    its id in it. Default "state"."""

    _path: Path | None = PrivateAttr(default=None)

    def model_post_init(self, context: Any, /) -> None:
        """Keep where it was read from, when the loader says so."""
        if isinstance(context, dict):
            self._path = context.get("path")

    @property
    def path(self) -> Path | None:
        """The cluster.toml it came from, None when it was built in memory."""
        return self._path

    @property
    def directory(self) -> Path:
        """Folder of cluster.toml: secrets/ and the `new-cluster` marker lie in it."""
        return Path() if self._path is None else self._path.parent

    @property
    def cluster_id(self) -> str:
        """The cluster's name in Redis: `<profile>-<name>`."""
        return f"{self.cluster.profile}-{self.cluster.name}"

    @property
    def config_id(self) -> str:
        """Hash of the ordered store list: nodes that differ in it must not contend (R3)."""
        return store_list_id(self.stores)

    @property
    def old_list_id(self) -> str:
        """Hash of the one-store list that this one grows from (R3); empty when it does not."""
        name = self.cluster.grown_from
        return "" if name is None else store_list_id(s for s in self.stores if s.name == name)

    @property
    def list_ids(self) -> frozenset[str]:
        """The store lists by which this node may hold the lease: two only while the pair grows."""
        return frozenset({self.config_id, self.old_list_id} - {""})

    @property
    def quorum(self) -> Quorum:
        """Which of the stores decide."""
        needed = self.cluster.grown_from
        names = tuple(StoreName(store.name) for store in self.stores)
        return Quorum(names, None if needed is None else StoreName(needed))

    def timing(self) -> LeaseTiming:
        """Return the lease's timing. Raises election.errors.TimingRefused (also when loading)."""
        fields = self.lease.model_dump(exclude={"is_fence_enabled"})
        return LeaseTiming(**fields)

    def label_of(self, node_id: str) -> str:
        """Return what people call the node; its id when it is unlabelled or unknown."""
        node = self.nodes.get(node_id)
        return node.label if node is not None and node.label else node_id

    def node_state_dir(self, node_id: str) -> Path:
        """Return the folder that belongs to one node alone (flock, epoch, journal, log)."""
        return self.state_dir / node_id

    def log_dir(self, node_id: str) -> Path:
        """Return the folder of one node's JSON lines."""
        if self.log.directory is None:
            return self.node_state_dir(node_id) / "log"
        return self.log.directory / node_id

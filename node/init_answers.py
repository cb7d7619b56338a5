"""What `nodectl init` must know, with harmless defaults; it asks for about ten of them.

Values only. `--set` and `--answers` can give every one of them.
"""

from decimal import Decimal

from pydantic import Field

from node.config_model import (
    Money,
    Name,
    Profile,
    RiskConfig,
    Symbol,
    Topology,
    Url,
)
from node.config_section import Section

LOOPBACK = "127.0.0.1"
FIRST_PORT = 6379
PEER_PORT = 7373
PAPER_PORT = 8800
_RISK = RiskConfig()
_ORDERS_IN_POSITION = _RISK.max_position_value / _RISK.max_order_value
_LOSS_OF_POSITION = _RISK.daily_loss_limit / _RISK.max_position_value


class Answers(Section):
    """The answers; `--answers FILE` has them as TOML, `--yes` takes the defaults."""

    name: Name = "home"
    """Name of the pair."""

    profile: Profile = Profile.TEST
    """dev, test or prod. Default test: a first deployment trades paper."""

    topology: Topology = Topology.TWO_BOXES
    """single-host, two-boxes or three-stores."""

    preferred_node: Name = "jetson"
    """Node that should trade when both are well."""

    standby_node: Name = "raspberrypi"
    """The other node."""

    labels: dict[Name, str] = Field(default_factory=dict)
    """What people call the boxes, by node id. Default: the node ids."""

    preferred_host: str = ""
    """Fixed LAN address of the preferred box; the nodes speak directly."""

    standby_host: str = ""
    """Fixed LAN address of the standby's box; its store runs there."""

    witness_host: str = ""
    """Fixed LAN address of the witness; three-stores needs it."""

    store_ports: tuple[int, ...] = ()
    """Ports of the stores, in their order. Default: 6379 for each (single-host: 6379)."""

    exchange: str = "binance"
    """Exchange."""

    base_url: Url | None = None
    """Address of a paper exchange that runs already. Default: the one that the deployment puts on
    the standby's box; single-host has none and means the sandbox."""

    is_sandbox: bool = False
    """The exchange's own test network instead of the paper exchange."""

    symbols: tuple[Symbol, ...] = ("BTC/USDT",)
    """Markets."""

    strategy: str = "hold"
    """Shipped strategy or .py file."""

    max_order_value: Money = _RISK.max_order_value
    """Largest value of one order, quote currency."""

    max_position_value: Money | None = None
    """Largest value held in one symbol, quote currency. Default: four orders of the largest size,
    the proportion of the shipped limits."""

    max_open_orders: int = _RISK.max_open_orders
    """Most resting orders."""

    max_orders_per_minute: int = _RISK.max_orders_per_minute
    """Most orders in a minute."""

    price_band_percent: Decimal = _RISK.price_band_percent
    """Farthest limit price from the last price, percent."""

    daily_loss_limit: Money | None = None
    """Loss of a day that stops new risk, quote currency. Default: a tenth of the largest position,
    the proportion of the shipped limits."""

    chat_id: int | None = None
    """Telegram chat."""

    allowed_user_ids: tuple[int, ...] = ()
    """Telegram users who may send commands."""

    accept_no_alerts: bool = False
    """prod without a chat."""

    @property
    def node_ids(self) -> tuple[str, str]:
        """The two nodes, the preferred one first."""
        return (self.preferred_node, self.standby_node)

    def position_value(self) -> Decimal:
        """Return the largest value held in one symbol: as answered, or worked out."""
        if self.max_position_value is not None:
            return self.max_position_value
        return (self.max_order_value * _ORDERS_IN_POSITION).normalize()

    def loss_limit(self) -> Decimal:
        """Return the loss of a day that stops new risk: as answered, or worked out."""
        if self.daily_loss_limit is not None:
            return self.daily_loss_limit
        return (self.position_value() * _LOSS_OF_POSITION).normalize()

    def stores(self) -> tuple[tuple[str, str, int], ...]:
        """Return name, host and port of each lease store that the topology has."""
        match self.topology:
            case Topology.SINGLE_HOST:
                places = [("local", LOOPBACK)]
            case Topology.TWO_BOXES:
                places = [(self.standby_node, self.standby_host)]
            case Topology.THREE_STORES:
                places = [
                    (self.preferred_node, self.preferred_host),
                    (self.standby_node, self.standby_host),
                    ("witness", self.witness_host),
                ]
        ports = self.store_ports or (FIRST_PORT,) * len(places)
        return tuple((name, host, port) for (name, host), port in zip(places, ports, strict=False))

    def paper_url(self) -> str | None:
        """Return where paper money is traded; None: at the sandbox, or (prod) for real."""
        if self.profile is Profile.PROD or self.is_sandbox:
            return None
        if self.base_url is not None or self.topology is Topology.SINGLE_HOST:
            return self.base_url
        return f"http://{self.standby_host}:{PAPER_PORT}"

    @property
    def is_own_paper(self) -> bool:
        """Whether the deployment brings the paper exchange, so that its keys can be made up."""
        return self.base_url is None and self.paper_url() is not None

    def node_host(self, place: int) -> str:
        """Return where a node listens for the other one."""
        if self.topology is Topology.SINGLE_HOST:
            return LOOPBACK
        return (self.preferred_host, self.standby_host)[place]

    def peer_port(self, place: int) -> int:
        """Return the port of a node's peer endpoint."""
        return PEER_PORT + (place if self.topology is Topology.SINGLE_HOST else 0)

    def missing_hosts(self) -> tuple[str, ...]:
        """Return the answers that the topology still needs."""
        needed = {
            Topology.SINGLE_HOST: (),
            Topology.TWO_BOXES: ("preferred_host", "standby_host"),
            Topology.THREE_STORES: ("preferred_host", "standby_host", "witness_host"),
        }[self.topology]
        return tuple(name for name in needed if not getattr(self, name))

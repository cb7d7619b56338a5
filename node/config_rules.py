"""What configured values mean together: pure checks that return problems and warnings.

Rules of this file: each check looks only at sections that were readable by themselves, so that
one typing error does not hide the rest; a check returns problems, it never raises. Where a value
came from is added by config.py. Sources: lease rules R2, R6, R8, R13, R16 and their amendments.
"""

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from election.errors import TimingRefused
from election.model import LeaseTiming
from exchange.errors import ConfigurationRefused
from exchange.identity import node_tag
from exchange.venues import venue_row
from node.config_model import (
    ClusterConfig,
    Config,
    LeaseConfig,
    NodeConfig,
    Profile,
    RiskConfig,
    StoreConfig,
    StrategyConfig,
    TelegramConfig,
    Topology,
    VenueConfig,
)
from node.peer_rules import check_peer, is_loopback

PAIR = 2  # what this release runs and is tested with
STORE_COUNTS = {Topology.SINGLE_HOST: (1, 3), Topology.TWO_BOXES: (1,), Topology.THREE_STORES: (3,)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong: the dotted path, what was found, how to mend it, where it stands."""

    path: str
    message: str
    mend: str
    source: str = ""

    def render(self) -> str:
        """Return it as two lines for people."""
        where = f"  ({self.source})" if self.source else ""
        return f"{self.path}: {self.message}{where}\n    → {self.mend}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The sections that were readable; None stands for one that was not (already reported)."""

    cluster: ClusterConfig | None = None
    nodes: dict[str, NodeConfig] | None = None
    stores: tuple[StoreConfig, ...] | None = None
    lease: LeaseConfig | None = None
    venue: VenueConfig | None = None
    strategies: tuple[StrategyConfig, ...] | None = None
    risk: RiskConfig | None = None
    telegram: TelegramConfig | None = None


def parts_of(config: Config) -> Parts:
    """Return a complete configuration as parts."""
    return Parts(
        cluster=config.cluster,
        nodes=config.nodes,
        stores=config.stores,
        lease=config.lease,
        venue=config.venue,
        strategies=config.strategies,
        risk=config.risk,
        telegram=config.telegram,
    )


def check_parts(parts: Parts) -> tuple[Problem, ...]:
    """Return every problem that the readable sections have with each other."""
    return tuple(problem for check in CHECKS for problem in check(parts))


def check_config(config: Config) -> tuple[Problem, ...]:
    """Return every problem of a configuration built in memory."""
    return check_parts(parts_of(config))


def _check_nodes(parts: Parts) -> Iterator[Problem]:
    if parts.nodes is None:
        return
    if len(parts.nodes) > PAIR:
        yield Problem(
            path="nodes",
            message=f"{len(parts.nodes)} nodes were named; this release runs pairs",
            mend="keep two; a third box can be a witness (topology three-stores)",
        )
    seen: dict[int, str] = {}
    for node_id, node in parts.nodes.items():
        other = seen.setdefault(node.index, node_id)
        if other != node_id:
            yield Problem(
                path=f"nodes.{node_id}.index",
                message=f"{node.index} is also the index of {other}",
                mend="give each node its own number",
            )
    tags = {node_tag(node_id) for node_id in parts.nodes}
    if len(tags) < len(parts.nodes):
        yield Problem(
            path="nodes",
            message="these node ids have the same tag in client order ids",
            mend="rename one of them",
        )
    if parts.cluster is not None and parts.cluster.preferred_node not in parts.nodes:
        yield Problem(
            path="cluster.preferred_node",
            message=f"there is no node {parts.cluster.preferred_node!r}",
            mend=f"name one of: {', '.join(sorted(parts.nodes))}",
        )


def _check_stores(parts: Parts) -> Iterator[Problem]:
    if parts.stores is None:
        return
    count = len(parts.stores)
    if count not in {1, 3}:
        yield Problem(
            path="stores",
            message=f"{count} lease stores were named; it must be 1 or 3",
            mend="two stores are worse than one: add a witness for three, or keep one",
        )
    elif parts.cluster is not None and count not in STORE_COUNTS[parts.cluster.topology]:
        needed = " or ".join(str(n) for n in STORE_COUNTS[parts.cluster.topology])
        yield Problem(
            path="stores",
            message=f"topology {parts.cluster.topology} has {needed} stores, {count} were named",
            mend="change cluster.topology or the list of [[stores]]",
        )
    names: set[str] = set()
    addresses: dict[tuple[str, int], str] = {}
    for place, store in enumerate(parts.stores):
        if store.name in names:
            yield Problem(
                path=f"stores.{place}.name",
                message=f"{store.name!r} is the name of two stores",
                mend="name each store after the box it runs on",
            )
        names.add(store.name)
        other = addresses.setdefault((store.host.lower(), store.port), store.name)
        if other != store.name:
            yield Problem(
                path=f"stores.{place}.host",
                message=f"{store.host}:{store.port} is also the address of {other}",
                mend="three stores must be three servers on three machines",
            )


def _check_growth(parts: Parts) -> Iterator[Problem]:
    """While a pair grows, the old list's store is one of three and stays where it was."""
    if parts.stores is None or parts.cluster is None or parts.cluster.grown_from is None:
        return
    name, names = parts.cluster.grown_from, [store.name for store in parts.stores]
    if len(names) != max(STORE_COUNTS[Topology.SINGLE_HOST]) or name not in names:
        yield Problem(
            path="cluster.grown_from",
            message=f"{name!r} is not one of three stores: {', '.join(names)}",
            mend="name the store that was the only one, or remove the line",
        )


def _check_store_places(parts: Parts) -> Iterator[Problem]:
    if parts.stores is None or parts.cluster is None:
        return
    topology = parts.cluster.topology
    if topology is not Topology.SINGLE_HOST:
        for place, store in enumerate(parts.stores):
            if is_loopback(store.host):
                yield Problem(
                    path=f"stores.{place}.host",
                    message=f"{store.host} means another machine on each box: two private leases",
                    mend="use the LAN address; loopback is for topology single-host only",
                )
    elif parts.cluster.profile is Profile.PROD:
        yield Problem(
            path="cluster.topology",
            message="single-host cannot survive the loss of its only machine; prod refuses it",
            mend='use "two-boxes" or "three-stores", or profile dev or test',
        )
    preferred = parts.cluster.preferred_node
    if topology is Topology.TWO_BOXES and any(s.name == preferred for s in parts.stores):
        yield Problem(
            path="stores.0",
            message=f"the only store is on {preferred}, the preferred node: when that box dies, "
            "nobody can take over",
            mend="run the store on the other box and name it after that one",
        )


def _check_peer(parts: Parts) -> Iterator[Problem]:
    if parts.nodes is not None and parts.cluster is not None:
        for path, message, mend in check_peer(parts.cluster, parts.nodes):
            yield Problem(path=path, message=message, mend=mend)


def _check_timing(parts: Parts) -> Iterator[Problem]:
    lease = parts.lease
    if lease is None:
        return
    try:
        LeaseTiming(**lease.model_dump(exclude={"is_fence_enabled"}))
    except TimingRefused as refused:
        yield Problem(path="lease", message=str(refused), mend="the defaults (ttl_ms 6000) fit")
    profile = parts.cluster.profile if parts.cluster is not None else Profile.DEV
    if not lease.is_fence_enabled and profile is not Profile.DEV:
        yield Problem(
            path="lease.is_fence_enabled",
            message=f"profile {profile} must not switch the kernel fence off",
            mend="leave it out; only dev may (for breakpoints)",
        )
    yield from _check_bounds(parts, lease)


def _check_bounds(parts: Parts, lease: LeaseConfig) -> Iterator[Problem]:
    """Every wait of the work loop stays below the hang limit, every write below the guard."""
    bounded: list[tuple[str, float]] = []
    if parts.venue is not None:
        bounded.append(("venue.read_budget_s", parts.venue.read_budget_s * 1000))
        bounded.append(("venue.cycle_ms", parts.venue.cycle_ms))
        if parts.venue.write_timeout_ms > lease.guard_ms:
            yield Problem(
                path="venue.write_timeout_ms",
                message=f"{parts.venue.write_timeout_ms} is above lease.guard_ms {lease.guard_ms}: "
                "a request could still be open when the kernel fence kills the process",
                mend="lower it, or raise lease.guard_ms (and lease.ttl_ms with it)",
            )
    for place, strategy in enumerate(parts.strategies or ()):
        bounded.append((f"strategies.{place}.budget_ms", strategy.budget_ms))
    for path, value_ms in bounded:
        if value_ms >= lease.hang_limit_ms:
            yield Problem(
                path=path,
                message=f"{value_ms:.0f} ms is not below lease.hang_limit_ms "
                f"{lease.hang_limit_ms}: waiting for it would look like a hang",
                mend="lower it, or raise lease.hang_limit_ms",
            )


def _check_venue(parts: Parts) -> Iterator[Problem]:
    if parts.venue is None or parts.cluster is None:
        return
    venue, profile = parts.venue, parts.cluster.profile
    if profile is Profile.PROD:
        if venue.is_sandbox:
            yield Problem(
                path="venue.is_sandbox",
                message="prod trades real money, a sandbox is not that",
                mend="remove it, or use profile test",
            )
        if venue.base_url is not None:
            yield Problem(
                path="venue.base_url",
                message=f"prod speaks to the exchange itself, {venue.base_url} was configured",
                mend="remove it, or use profile test",
            )
    elif venue.base_url is None and not venue.is_sandbox:
        yield Problem(
            path="venue",
            message=f"profile {profile} would trade real money at {venue.exchange}",
            mend="set venue.base_url (a paper exchange) or venue.is_sandbox = true, "
            'or cluster.profile = "prod"',
        )
    if venue.base_url is not None and _is_public_plain_http(venue.base_url):
        yield Problem(
            path="venue.base_url",
            message="plain http to a public address would show the API key to the network",
            mend="use https, or a private address",
        )


def _check_exchange(parts: Parts) -> Iterator[Problem]:
    if parts.venue is None:
        return
    try:
        venue_row(parts.venue.exchange)
    except ConfigurationRefused as error:
        yield Problem(
            path="venue.exchange",
            message=str(error),
            mend="name one that is supported; how each behaves must be known before it is traded",
        )
    if parts.venue.base_url is not None and parts.venue.is_sandbox:
        yield Problem(
            path="venue.is_sandbox",
            message="base_url and is_sandbox exclude each other",
            mend="keep one of them",
        )


def _is_public_plain_http(url: str) -> bool:
    parsed = urlsplit(url)
    if parsed.scheme == "https" or parsed.hostname is None:
        return False
    try:
        return ipaddress.ip_address(parsed.hostname).is_global
    except ValueError:
        return False  # a name: it may well be a LAN name


def _check_prod_is_explicit(parts: Parts) -> Iterator[Problem]:
    if parts.cluster is None or parts.cluster.profile is not Profile.PROD:
        return
    if parts.risk is not None:
        for name in type(parts.risk).model_fields:
            if name not in parts.risk.model_fields_set:
                yield Problem(
                    path=f"risk.{name}",
                    message="prod wants every risk limit set by you, this one was not",
                    mend=f"set it; the default elsewhere is {getattr(parts.risk, name)}",
                )
    telegram = parts.telegram
    if telegram is not None and telegram.chat_id is None and not telegram.accept_no_alerts:
        yield Problem(
            path="telegram.chat_id",
            message="prod without alerts: nobody would be told of a failover",
            mend="set it (`nodectl telegram test` finds it), or say "
            "telegram.accept_no_alerts = true",
        )


def _check_symbols(parts: Parts) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    for place, strategy in enumerate(parts.strategies or ()):
        for symbol in strategy.symbols:
            if symbol in owners:
                yield Problem(
                    path=f"strategies.{place}.symbols",
                    message=f"{symbol} already belongs to {owners[symbol]}",
                    mend="one symbol belongs to one strategy: positions could not be told apart",
                )
            owners[symbol] = strategy.use
    quotes = sorted({symbol.split("/")[1] for symbol in owners})
    is_prod = parts.cluster is not None and parts.cluster.profile is Profile.PROD
    if is_prod and len(quotes) > 1:
        yield Problem(
            path="strategies",
            message=f"symbols have several quote currencies ({', '.join(quotes)}); "
            "one daily loss limit cannot add them up",
            mend="use one quote currency for each cluster in prod",
        )


CHECKS: tuple[Callable[[Parts], Iterator[Problem]], ...] = (
    _check_nodes,
    _check_stores,
    _check_growth,
    _check_store_places,
    _check_peer,
    _check_timing,
    _check_venue,
    _check_exchange,
    _check_prod_is_explicit,
    _check_symbols,
)

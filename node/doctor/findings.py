"""The doctor's findings: a list of pure checks over one set of facts. It grows by appending.

Rules of this file: a check looks at facts and yields findings, each with what to do; it asks
nobody and raises nothing. What a healthy cluster shows yields nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType

from node.config_model import Config, Topology
from node.deadman import Watched
from node.doctor.losses import has_majority_without, survives_box, topology_row
from node.doctor.outside import NodeSeen
from node.peer_rules import peer_sentence
from node.status_model import StatusView, Verdict
from node.topology import REMEDY

# The newest drill should not be older: what was not tried lately is a hope.
DRILL_AGE_MAX_MS = 45 * 86_400_000
# R8 (amended): a heartbeat that pauses for more than a third of the ttl is told.
GAP_SHARE = 3


SEE_STATUS = "see `nodectl status`"
# What mends a remark of the status (node/status.py), by words that stand in it.
REMARK_FIXES: Mapping[str, str] = MappingProxyType(
    {
        "differ in release": "make upgrade: two releases side by side are for its duration only",
        "differ in strategy or limits": "make deploy-strategy, or make strategies and [risk] equal",
        "differ in account": "put keys of one account into the secrets of both boxes",
        "another store list": "deploy the same cluster.toml to both boxes",
        "not in this machine's cluster.toml": "deploy the same cluster.toml to both boxes",
        "directly": "let TCP port 7373 through between the boxes; the same peer.key on both",
        "maxmemory-policy": "set maxmemory-policy noeviction in that store's configuration",
    }
)


class Level(IntEnum):
    """How bad; the highest one is the exit code of `nodectl doctor`."""

    GOOD = 0
    LOOK = 1
    ACT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to know. `fix` says what to type or to change."""

    level: Level
    area: str
    what: str
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorFacts:
    """What the checks look at.

    `longest_gap_ms`: per node, the longest pause between its heartbeats lately, as it says.
    `last_drill_ms`: wall time of the newest drill that passed, None when none is on record.
    `nodes`: what the living nodes say of their dead-man URLs and their own warnings.
    """

    config: Config
    status: StatusView
    longest_gap_ms: dict[str, float] = field(default_factory=dict)
    last_drill_ms: int | None = None
    nodes: tuple[NodeSeen, ...] = ()


def list_findings(facts: DoctorFacts) -> tuple[Finding, ...]:
    """Return what every check found, worst first, otherwise in the checks' order."""
    found = [finding for check in CHECKS for finding in check(facts)]
    return tuple(sorted(found, key=lambda finding: -finding.level))


def check_topology(facts: DoctorFacts) -> Iterator[Finding]:
    """A topology in which the loss of one box ends trading is said each time."""
    config = facts.config
    row = topology_row(config)
    if row.is_good:
        return
    if config.cluster.topology is Topology.SINGLE_HOST:
        yield Finding(
            level=Level.LOOK,
            area="topology",
            what=f"stores: {row.where}: {row.meaning}",
            fix="for trying only; for two boxes run `nodectl init` anew",
        )
        return
    is_accepted = config.cluster.accept_standby_risk
    fatal = [config.label_of(node) for node in config.nodes if not survives_box(config, node)]
    yield Finding(
        level=Level.GOOD if is_accepted else Level.LOOK,
        area="topology",
        what=f"the lease store is {row.where}: {row.meaning}"
        + (f" (losing {', '.join(fatal)} stops trading)" if fatal else "")
        + ("; accepted in the configuration" if is_accepted else ""),
        fix=REMEDY,
    )


def check_peer(facts: DoctorFacts) -> Iterator[Finding]:
    """Nodes that do not speak directly cannot find out that they use different servers (R13)."""
    config = facts.config
    sentence = peer_sentence(config, has_key=True)
    if sentence and not config.cluster.accept_no_peer:
        yield Finding(
            level=Level.LOOK,
            area="peer",
            what=sentence,
            fix="give both nodes a host in cluster.toml and one peer.key in their secrets",
        )


def check_stores(facts: DoctorFacts) -> Iterator[Finding]:
    """Stores that do not answer, and majorities that are one loss away."""
    silent = [store for store in facts.status.stores if store.error]
    has_majority = has_majority_without(facts.config, [store.name for store in silent])
    for store in silent:
        yield Finding(
            level=Level.LOOK if has_majority else Level.ACT,
            area="stores",
            what=store.error,
            fix="look at power and network of its box, and at the store's own log"
            if has_majority
            else "too few stores answer for anybody to trade: bring it back first",
        )


def check_growth(facts: DoctorFacts) -> Iterator[Finding]:
    """A pair that stays on its way from one store to three gained nothing yet."""
    if name := facts.config.cluster.grown_from:
        yield Finding(
            level=Level.LOOK,
            area="stores",
            what=f"the pair is on its way from the store on {name} to three: until that is "
            f"finished every decision needs {name} and one more",
            fix="finish it: make deploy-witness, or by hand nodectl stores settle",
        )


def check_one_machine(facts: DoctorFacts) -> Iterator[Finding]:
    """Three stores that are two machines are no majority."""
    if facts.config.cluster.topology is Topology.SINGLE_HOST:
        return
    hosts: dict[str, list[str]] = {}
    for store in facts.config.stores:
        hosts.setdefault(store.host.lower(), []).append(store.name)
    for host, names in hosts.items():
        if len(names) > 1:
            yield Finding(
                level=Level.ACT,
                area="stores",
                what=f"{' and '.join(names)} are both on {host}: losing that machine loses the "
                "majority",
                fix="move one of them to another machine, then deploy the same cluster.toml",
            )


def check_lease(facts: DoctorFacts) -> Iterator[Finding]:
    """Nobody trades, or nobody could take over."""
    status = facts.status
    level = Level.ACT
    match status.verdict:
        case Verdict.NOBODY:
            what, fix = status.headline, SEE_STATUS
        case Verdict.UNKNOWN:
            what, fix = f"it cannot be told who leads: {status.headline}", "bring the stores back"
        case Verdict.TRADING_ALONE:
            level, what = Level.LOOK, f"no spare: {status.headline}"
            fix = "start or mend the other node; the next failure stops trading"
        case _:
            return
    yield Finding(level=level, area="lease", what=what, fix=fix)


def check_nodes(facts: DoctorFacts) -> Iterator[Finding]:
    """Nodes that could not take over, with their own reasons."""
    for node in facts.status.nodes:
        is_holder = node.node_id == facts.status.holder
        if is_holder or node.is_spare or not node.reasons:
            continue
        yield Finding(
            level=Level.LOOK,
            area="nodes",
            what=f"{node.label} cannot take over: {'; '.join(node.reasons)}",
            fix="mend that on its box; `nodectl logs` there says more",
        )
    for remark in facts.status.remarks:
        fix = next((fix for words, fix in REMARK_FIXES.items() if words in remark), SEE_STATUS)
        yield Finding(level=Level.LOOK, area="nodes", what=remark, fix=fix)


def check_heartbeat(facts: DoctorFacts) -> Iterator[Finding]:
    """A heartbeat that pauses for more than a third of the ttl (R8)."""
    bound_ms = facts.config.lease.ttl_ms / GAP_SHARE
    for node, gap_ms in facts.longest_gap_ms.items():
        if gap_ms > bound_ms:
            yield Finding(
                level=Level.LOOK,
                area="timing",
                what=f"{facts.config.label_of(node)} paused {gap_ms / 1000:.1f} s between two "
                f"heartbeats; a third of the ttl is {bound_ms / 1000:.1f} s",
                fix="run `nodectl doctor --measure 5m`, which says whether network or box is slow",
            )


def check_drills(facts: DoctorFacts) -> Iterator[Finding]:
    """A pair whose failover nobody tried lately."""
    if facts.status.verdict is Verdict.UNKNOWN:
        return
    last_ms = facts.last_drill_ms
    if last_ms is None:
        what = "no drill has passed yet"
    elif facts.status.taken_wall_ms - last_ms > DRILL_AGE_MAX_MS:
        days = (facts.status.taken_wall_ms - last_ms) // 86_400_000
        what = f"the last drill that passed was {days} days ago"
    else:
        return
    yield Finding(
        level=Level.GOOD,
        area="drills",
        what=what,
        fix="`nodectl drill switchover` takes a second; `nodectl drill plug` is the real thing",
    )


def check_outside(facts: DoctorFacts) -> Iterator[Finding]:
    """Nobody outside would notice if all went silent, or the alarm itself is broken."""
    config, nodes = facts.config, facts.nodes
    without = [n for n in nodes if Watched.CLUSTER not in n.urls]
    if nodes and len(without) == len(nodes):
        yield Finding(
            level=Level.GOOD,
            area="outside",
            what="no dead-man URL is set: if both boxes or their internet go, nobody tells you",
            fix="put deadman.cluster into the secrets of both boxes (docs/warnings.md)",
        )
    elif without:
        names = ", ".join(config.label_of(n.node_id) for n in without)
        yield Finding(
            level=Level.LOOK,
            area="outside",
            what=f"{names} does not know the cluster's dead-man URL: when it leads, the service "
            "raises a false alarm",
            fix="put the same deadman.cluster into its secrets and restart it",
        )
    for node in nodes:
        for watched, seen in node.urls.items():
            if seen.error and (watched is Watched.NODE or node.node_id == facts.status.holder):
                yield Finding(
                    level=Level.LOOK,
                    area="outside",
                    what=f"the dead-man URL ({watched}) of {config.label_of(node.node_id)} does "
                    f"not answer: {seen.error}",
                    fix=f"look at the service and at deadman.{watched} in that box's secrets",
                )


def check_warnings(facts: DoctorFacts) -> Iterator[Finding]:
    """What a node was warned of and is still so."""
    for node in facts.nodes:
        for warning in node.warnings:
            yield Finding(
                level=Level.LOOK,
                area="box",
                what=f"{facts.config.label_of(node.node_id)}: {warning}",
                fix="docs/warnings.md says what each warning means and what mends it",
            )
        for note in node.notes:
            yield Finding(
                level=Level.GOOD,
                area="box",
                what=f"{facts.config.label_of(node.node_id)}: {note}",
                fix="reserve it in the router; if it is reserved, all is well",
            )


CHECKS: tuple[Callable[[DoctorFacts], Iterator[Finding]], ...] = (
    check_lease,
    check_stores,
    check_growth,
    check_one_machine,
    check_topology,
    check_peer,
    check_nodes,
    check_outside,
    check_warnings,
    check_heartbeat,
    check_drills,
)

"""What the configuration must say for two nodes to speak directly (R13), checked as a whole.

Pure. Addresses of the peer endpoint follow the same rule as those of the stores: loopback means
another machine on each box.
"""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Final

from node.config_model import ClusterConfig, Config, NodeConfig, Profile, Topology

COMMAND: Final = "command"  # who asks from a command line; no node may be called so
PAIR: Final = 2


def is_loopback(host: str) -> bool:
    """True for an address that means another machine on each box (R13: two private leases)."""
    if host.lower().rstrip(".") in {"localhost", "ip6-localhost", "ip6-loopback"}:
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return host.lower().endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def other_node(config: Config, node_id: str) -> str | None:
    """Return the other node of a pair that is configured to speak directly, else None."""
    others = [n for n in config.nodes if n != node_id]
    has_hosts = all(node.host is not None for node in config.nodes.values())
    return others[0] if len(config.nodes) == PAIR and has_hosts else None


def check_peer(
    cluster: ClusterConfig, nodes: Mapping[str, NodeConfig]
) -> Iterator[tuple[str, str, str]]:
    """Yield path, message and mending of each problem."""
    if COMMAND in nodes:
        yield (f"nodes.{COMMAND}", "is the name under which a person asks", "rename the node")
    given = {n: node for n, node in nodes.items() if node.host is not None}
    if given and len(given) < len(nodes):
        missing = ", ".join(sorted(set(nodes) - set(given)))
        yield (
            f"nodes.{missing}.host",
            "is missing, although the other node has one: they could speak in one direction only",
            "give every node its fixed LAN address, or none",
        )
    is_prod = cluster.profile is Profile.PROD
    if is_prod and len(nodes) == PAIR and not given and not cluster.accept_no_peer:
        yield (
            "nodes",
            "prod without hosts: nodes pointed at different store servers would go undetected",
            "give each its host (and one peer.key), or say cluster.accept_no_peer = true",
        )
    seen: dict[tuple[str, int], str] = {}
    for node_id, node in given.items():
        host = str(node.host)
        if is_loopback(host) and cluster.topology is not Topology.SINGLE_HOST:
            yield (
                f"nodes.{node_id}.host",
                f"{host} means another machine on each box",
                "use the LAN address; loopback is for topology single-host only",
            )
        other = seen.setdefault((host.lower(), node.peer_port), node_id)
        if other != node_id:
            yield (
                f"nodes.{node_id}.peer_port",
                f"{host}:{node.peer_port} is also the address of {other}",
                "give each node its own address or port",
            )


def peer_sentence(config: Config, *, has_key: bool) -> str:
    """Return why the nodes do not speak directly and what that means; empty when they do."""
    if len(config.nodes) != PAIR or config.cluster.topology is Topology.SINGLE_HOST:
        return ""
    lacks = [f"nodes.{n}.host" for n, node in config.nodes.items() if node.host is None]
    if not has_key:
        lacks.append("peer.key in this node's secrets")
    if not lacks:
        return ""
    return (
        f"the peer endpoint is off ({', '.join(lacks)} missing): two nodes pointed at different "
        "store servers would go undetected, and `nodectl stand-down` is not possible"
    )

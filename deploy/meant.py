"""Whether the box that ssh reached is the one that is meant. Pure.

HOST= or inventory.toml may name another machine by a slip, and addresses move. A node brought onto
the other node's box would take its place there: no spare is left, and two boxes call themselves by
one name.
"""

import ipaddress

from deploy.facts import BoxFacts
from deploy.inventory import BoxPlace
from node.config_model import Config


def why_another(facts: BoxFacts, place: BoxPlace) -> str:
    """Return why this box is not `place`: another node is deployed there. Empty if it may be."""
    if not facts.node or (place.is_node and facts.node == place.name):
        return ""
    return (
        f"{place.ssh} is not {place.name}: node {facts.node} is deployed there; nothing was "
        "changed\n    → look at HOST= and inventory.toml; if it shall become another box, first "
        f"run: make uninstall BOX={facts.node} HOST={place.ssh}"
    )


def why_elsewhere(facts: BoxFacts, place: BoxPlace, config: Config) -> str:
    """Return why nobody would find this box where cluster.toml looks for it; empty if they may.

    Host names are not judged, nor a box that does not say its addresses.
    """
    said = [(f"nodes.{n}.host", node.host) for n, node in config.nodes.items() if n == place.name]
    said += [(f"the store {s.name}'s host", s.host) for s in config.stores if s.name == place.name]
    own = {_address(a) for a in facts.addresses} - {None}
    for where, host in said:
        wanted = _address(host or "")
        if not own or wanted is None or wanted.is_loopback or wanted in own:
            continue
        return (
            f"{place.ssh} has not the address {host}, which cluster.toml gives {place.name} "
            f"({where}); it has: {', '.join(facts.addresses)}\n    → is it the right machine "
            "(HOST=, inventory.toml)? Else reserve the address in the router, or mend "
            "cluster.toml; FORCE=1 where the address leads there all the same"
        )
    return ""


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None

"""What cluster.toml and inventory.toml say once a witness is added. Pure, but for reading the new
text as a node would.

The two new stores stand after the present one; everything else of the file stays as it was
written, comments too.
"""

import difflib
import ipaddress
import re
import tempfile
from pathlib import Path

from deploy.errors import InventoryRefused
from deploy.inventory import WITNESS
from deploy.settings import SettingsSet
from node.config import load_config
from node.config_model import Config, Topology
from node.errors import ConfigRefused
from node.init_answers import FIRST_PORT
from node.init_text import STORES_SAID, render_box, render_store


def grown_text(text: str, config: Config, witness_host: str) -> str:
    """Return cluster.toml with topology three-stores and two stores more.

    Args:
        text: the present file.
        config: what it says; topology two-boxes.
        witness_host: address that both nodes use to reach the witness.

    Raises:
        InventoryRefused: the file is written in a way that cannot be edited line by line, or the
            preferred node has no address.
    """
    preferred = config.cluster.preferred_node
    address = config.nodes[preferred].host
    if address is None:
        raise InventoryRefused(
            f"nothing says at which address {preferred} gets its store\n"
            f"    → give nodes.{preferred} a host in cluster.toml"
        )
    pattern = r'(?m)^(\s*topology\s*=\s*)["\']two-boxes["\']'
    edited, found = re.subn(pattern, rf'\g<1>"{Topology.THREE_STORES}"', text)
    edited = edited.replace(STORES_SAID[Topology.TWO_BOXES], STORES_SAID[Topology.THREE_STORES])
    begins = [m.end() for m in re.finditer(r"(?m)^\s*\[\[\s*stores\s*\]\].*\n", edited)]
    if found != 1 or len(begins) != 1:
        raise InventoryRefused(
            "cluster.toml does not show topology and its one [[stores]] table on lines of their own"
            "\n    → write them as `nodectl init` does"
        )
    after = re.search(r"(?m)^\s*\[", edited[begins[0] :])
    end = len(edited) if after is None else begins[0] + after.start()
    # a comment right above the next table belongs to that one
    kept = edited[begins[0] : end].rstrip("\n").split("\n")
    while kept and kept[-1].lstrip().startswith("#"):
        end -= len(kept.pop()) + 1
    block, rest = edited[:end].rstrip("\n"), edited[end:].lstrip("\n")
    added = "".join(
        f"\n{render_store(name, host, FIRST_PORT)}"
        for name, host in ((preferred, address), (WITNESS, witness_host))
    )
    return f"{block}\n{added}" + (f"\n{rest}" if rest else "")


def joint_text(text: str, name: str) -> str:
    """Return cluster.toml of three stores with the line that every decision needs the old store.

    Args:
        text: with topology three-stores.
        name: of the store that was the only one.
    """
    pattern = rf'(?m)^\s*topology\s*=\s*["\']{Topology.THREE_STORES}["\'].*\n'
    return re.sub(pattern, rf'\g<0>grown_from = "{name}"\n', text, count=1)


def final_text(text: str) -> str:
    """Return cluster.toml without the line of `joint_text`: what a pair has at the end."""
    return re.sub(r"(?m)^\s*grown_from\s*=.*\n", "", text, count=1)


def read_grown(config: Config, settings: SettingsSet) -> Config:
    """Return what a node will read; the files lie elsewhere for this one look.

    Raises:
        InventoryRefused: the new file is not possible, with every problem.
    """
    with tempfile.TemporaryDirectory(prefix="hotspare-") as scratch:
        for name, content in settings.files.items():
            path = Path(scratch) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        profile = config.cluster.profile.value
        try:
            read = load_config(Path(scratch) / "cluster.toml", profile=profile, environ={})
        except ConfigRefused as refused:
            said = "\n".join(f"  {problem.render()}" for problem in refused.problems)
            raise InventoryRefused(
                f"cluster.toml with a witness is not possible:\n{said}"
            ) from None
    grown = config.model_copy(update={"cluster": read.cluster, "stores": read.stores})
    if read.cluster.topology is not Topology.THREE_STORES:
        raise InventoryRefused(
            "an overlay beside cluster.toml says topology too\n    → leave it to cluster.toml"
        )
    return grown


def grown_inventory(text: str, ssh: str) -> str:
    """Return inventory.toml with the witness in it; unchanged when it is there."""
    if re.search(rf"(?m)^\s*\[boxes\.{WITNESS}\]", text):
        return text
    begin = f"{text.rstrip()}\n\n" if text.strip() else ""
    return f"{begin}{render_box(WITNESS, ssh)}"


def difference(name: str, before: str, after: str) -> str:
    """Return what changes in a file, as people read it; empty when nothing does."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), name, name, lineterm="")
    return "\n".join(f"    {line}" for line in lines)


def witness_address(said: str, ssh: str, addresses: tuple[str, ...], near: str) -> str:
    """Return the address at which the nodes reach the witness.

    Args:
        said: what the owner said (ADDRESS=), empty when nothing.
        ssh: how the laptop reaches it; may be a name that only the laptop knows.
        addresses: what the box itself says it has.
        near: address of the present store: the witness is looked for in the same network.

    Raises:
        InventoryRefused: it cannot be told.
    """
    if said:
        return said
    network = _network(near)
    found = [a for a in addresses if network is not None and _is_in(a, network)]
    if len(found) == 1:
        return found[0]
    host = ssh.rpartition("@")[2]
    if _network(host) is not None:
        return host
    raise InventoryRefused(
        f"at which address do the nodes reach the witness? It has: {', '.join(addresses) or '?'}\n"
        "    → say ADDRESS=, a fixed one in your network"
    )


def _network(address: str) -> ipaddress.IPv4Network | None:
    try:
        return ipaddress.IPv4Network(f"{address}/24", strict=False)
    except ValueError:
        return None


def _is_in(address: str, network: ipaddress.IPv4Network) -> bool:
    own = _network(address)
    return own == network

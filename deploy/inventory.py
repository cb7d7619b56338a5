"""Which machine is which box: inventory.toml beside cluster.toml. No secrets in it.

`nodectl init` writes it. `ssh` is anything that the `ssh` command understands: a name from
~/.ssh/config, an address, user@address. A box that is not named there is reached at the address
that cluster.toml has for it.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deploy.errors import InventoryRefused
from node.config_model import Config, Topology

FILE = "inventory.toml"
WITNESS = "witness"
SSH_TARGET = r"^[^\s-][^\s]*$"
"""What ssh may be given as a destination: never an option of its own."""


_AS_IT_SHOULD_BE = '    → each box is `[boxes.NAME]` with `ssh = "user@address"`'


class BoxEntry(BaseModel):
    """How one box is reached."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    ssh: str = Field(min_length=1, pattern=SSH_TARGET)


class Inventory(BaseModel):
    """The file: box by box."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    boxes: dict[str, BoxEntry] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxPlace:
    """One box of the cluster: what it is and how it is reached."""

    name: str
    ssh: str
    is_node: bool
    has_store: bool
    has_paper: bool


def load_inventory(folder: Path) -> Inventory:
    """Read the inventory of a cluster's folder; none means that addresses come from cluster.toml.

    Raises:
        InventoryRefused: it is not what it should be.
    """
    path = folder / FILE
    try:
        return Inventory.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Inventory()
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InventoryRefused(f"{path}: cannot be read: {error}\n{_AS_IT_SHOULD_BE}") from error
    except ValidationError as error:
        said = "; ".join(
            f"{'.'.join(str(k) for k in e['loc'])}: {e['msg'].lower()}"
            for e in error.errors(include_url=False, include_input=False)
        )
        raise InventoryRefused(f"{path}: {said}\n{_AS_IT_SHOULD_BE}") from None


def box_names(config: Config) -> tuple[str, ...]:
    """Return every box of the cluster: nodes, and machines with a store alone."""
    return tuple(dict.fromkeys((*config.nodes, *(store.name for store in config.stores))))


def place_of(config: Config, inventory: Inventory, name: str, *, host: str = "") -> BoxPlace:
    """Return what the box called `name` is; `host` (from HOST=) says how it is reached instead.

    Raises:
        InventoryRefused: the cluster has no such box, or nothing says how to reach it.
    """
    stores = {store.name: store for store in config.stores}
    if name not in config.nodes and name not in stores:
        known = ", ".join(box_names(config))
        raise InventoryRefused(
            f"the cluster has no box {name!r}\n    → its boxes are: {known} (cluster.toml)"
        )
    if config.cluster.topology is Topology.SINGLE_HOST:
        raise InventoryRefused(
            "topology single-host runs on one machine and is not deployed\n"
            "    → use two-boxes or three-stores; `nodectl init` asks for it"
        )
    entry = inventory.boxes.get(name)
    node = config.nodes.get(name)
    address = stores[name].host if name in stores else (node.host if node is not None else None)
    ssh = host or (entry.ssh if entry is not None else "") or (address or "")
    if not ssh:
        raise InventoryRefused(
            f"nothing says how to reach {name}\n    → put it into {FILE}, or say HOST=user@address"
        )
    is_standby = node is not None and name != config.cluster.preferred_node
    return BoxPlace(
        name=name,
        ssh=ssh,
        is_node=node is not None,
        has_store=name in stores,
        has_paper=is_standby and paper_port(config, name) is not None,
    )


def find_place(config: Config, name: str, *, host: str = "") -> BoxPlace:
    """Return what a box is, by the inventory beside cluster.toml; raises as `place_of`.

    A name there that is no box's is refused too: it is a slip, and the box that was meant would be
    looked for somewhere else.
    """
    inventory = load_inventory(config.directory)
    known = box_names(config)
    strange = [entry for entry in inventory.boxes if entry not in {*known, WITNESS}]
    if strange:
        raise InventoryRefused(
            f"{config.directory / FILE}: the cluster has no box {', '.join(strange)}\n"
            f"    → its boxes are: {', '.join(known)} (cluster.toml)"
        )
    return place_of(config, inventory, name, host=host)


def paper_port(config: Config, name: str) -> int | None:
    """Return the port at which cluster.toml expects a paper exchange on this box, None if not.

    It does when venue.base_url names the box's own address.
    """
    node = config.nodes.get(name)
    url = config.venue.base_url
    if node is None or node.host is None or url is None:
        return None
    place = url.removeprefix("http://").partition("/")[0]
    host, _, port = place.partition(":")
    return int(port) if host == node.host and port.isdigit() else None

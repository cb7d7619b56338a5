"""What the doctor knows of the box that it runs on: values only.

None or empty: this box does not say, which is never a finding by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from node.resources import Resources

# As the deployment names them (deploy/places.py; a test holds both equal).
NODE_UNIT = "hotspare-node.service"
UNITS = (NODE_UNIT, "hotspare-store.service", "hotspare-paper.service")


@dataclass(frozen=True, slots=True, kw_only=True)
class Watchdog:
    """One hardware watchdog. `state`: "active" when it is fed; `timeout_s`: its patience."""

    name: str
    identity: str
    state: str
    timeout_s: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Journald:
    """Where journald writes. `storage` and `cap` as configured, "" where nothing says."""

    is_persistent: bool | None
    storage: str
    cap: str
    used_mb: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxFacts:
    """One look at one box.

    `root_kind`, `state_kind`: kind of file system of `/` and of the state directory. `units`: by
    name, what `systemctl show` says. `pid1_feeds`: systemd's own word for how long the hardware
    watchdog waits for it ("0": it does not feed it). `power_past`: what happened since the boot.
    """

    node_id: str
    label: str
    has_systemd: bool
    model: str = ""
    kernel: str = ""
    root_kind: str = ""
    state_kind: str = ""
    has_memory_limit: bool | None = None
    watchdogs: tuple[Watchdog, ...] = ()
    pid1_feeds: str = ""
    journald: Journald | None = None
    units: Mapping[str, Mapping[str, str]]
    power_past: tuple[str, ...] = ()
    resources: Resources | None = None

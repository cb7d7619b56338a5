"""What about this box is worth a warning before it is a reason to leave. Pure.

Rules of this file: a warning changes nothing but what people know. It is raised once something has
lasted, and taken back once the opposite has lasted, some way beyond the bound: a figure that swings
around it is one message. Hard limits are in box_limits.py; the first word of a warning is that of
the limit it goes before, so that both at once are one message.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from node.board_model import Address
from node.board_rates import WriteRate
from node.config_box import HealthConfig
from node.config_model import Config
from node.durations import show_duration
from node.resources import Resources

# Six readings: a peak is no warning, and a calm moment no end of it.
LASTING_S = 60.0
CALM_S = 60.0
# A bad supply and a throttled processor come and go with the load: calm for a quarter of an hour.
FLAPPING_CALM_S = 900.0
COOLER_BY_C = 5.0
DISK_FACTOR = 1.25
MEMORY_FACTOR = 0.9
CPU_FACTOR = 0.9
WRITES_FACTOR = 0.8
SUPPLY_MARGIN_V = 0.1
CPU_NEVER = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that may be warned of. `bad`: what is wrong now, empty: nothing.

    `is_well`: beyond the margin, not only within the bound. `good`: how it reads when it is over.
    """

    bad: str
    is_well: bool
    good: str
    meaning: str
    fix: str
    lasting_s: float = LASTING_S
    calm_s: float = CALM_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A warning that is raised, or taken back after `lasted_s`."""

    name: str
    finding: Finding
    is_raised: bool
    lasted_s: float = 0.0


@dataclass(slots=True, kw_only=True)
class _Memory:
    bad_since_s: float | None = None
    calm_since_s: float | None = None
    raised_s: float | None = None
    text: str = ""


@dataclass(slots=True)
class Warnings:
    """The warnings of one box; `judge` with every reading."""

    _memory: dict[str, _Memory] = field(default_factory=dict)

    @property
    def texts(self) -> tuple[str, ...]:
        """Return what is warned of now, in words."""
        return tuple(m.text for m in self._memory.values() if m.raised_s is not None)

    def judge(self, now_s: float, findings: Mapping[str, Finding]) -> tuple[Change, ...]:
        """Take the findings of one reading; return what is news. `now_s` is monotonic.

        A name that is absent could not be read this time: nothing changes about it.
        """
        found = [self._step(now_s, name, finding) for name, finding in findings.items()]
        return tuple(change for change in found if change is not None)

    def _step(self, now_s: float, name: str, finding: Finding) -> Change | None:
        memory = self._memory.setdefault(name, _Memory())
        if memory.raised_s is None:
            if not finding.bad:
                memory.bad_since_s = None
                return None
            if memory.bad_since_s is None:
                memory.bad_since_s = now_s
            if now_s - memory.bad_since_s < finding.lasting_s:
                return None
            memory.raised_s, memory.calm_since_s, memory.text = now_s, None, finding.bad
            return Change(name=name, finding=finding, is_raised=True)
        if finding.bad:
            memory.text = finding.bad
        if not finding.is_well:
            memory.calm_since_s = None
            return None
        if memory.calm_since_s is None:
            memory.calm_since_s = now_s
        if now_s - memory.calm_since_s < finding.calm_s:
            return None
        lasted_s = now_s - memory.raised_s
        self._memory[name] = _Memory()
        return Change(name=name, finding=finding, is_raised=False, lasted_s=lasted_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is judged beside the reading itself. `places`: address → where cluster.toml names it."""

    cpu_percent: float | None
    writes: WriteRate | None
    places: Mapping[str, str]


def find_warnings(resources: Resources, health: HealthConfig, known: Known) -> dict[str, Finding]:
    """Return a finding for everything that this board can say, by name."""
    found = {
        "disk": _disk(resources, health),
        "temperature": _heat(resources, health),
        "memory": _memory(resources, health),
        "box memory": _box_memory(resources, health),
        "processor": _cpu(known.cpu_percent, health),
        "card": _card(resources, known.writes, health),
        "power": _power(resources, health),
        "slowed": _slowed(resources),
        "address": _address(resources, known.places),
        "clock": _clock(resources, health),
    }
    return {name: finding for name, finding in found.items() if finding is not None}


def expected_addresses(config: Config, node_id: str) -> dict[str, str]:
    """Return the fixed addresses that cluster.toml gives to this box, with where it says so.

    Host names are left out: whether a name still leads here is the name server's knowledge.
    """
    node = config.nodes.get(node_id)
    named = [(node.host, f"nodes.{node_id}.host")] if node is not None and node.host else []
    named += [(s.host, f"the host of store {s.name}") for s in config.stores if s.name == node_id]
    found: dict[str, str] = {}
    for host, place in named:
        address = _parsed(host)
        if address is not None and not (address.is_loopback or address.is_unspecified):
            found.setdefault(str(address), place)
    return found


def leased_notes(addresses: Iterable[Address] | None, places: Mapping[str, str]) -> tuple[str, ...]:
    """Return what is true today and may not be one day: a fixed address that has an end."""
    return tuple(
        f"{a.text} ({places[a.text]}) is leased, by DHCP: unless the router reserves it for this "
        "box, it moves one day"
        for a in addresses or ()
        if a.is_leased and a.text in places
    )


def _parsed(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _disk(resources: Resources, health: HealthConfig) -> Finding | None:
    free_mb = resources.disk_free_mb
    if free_mb is None:
        return None
    least_mb = max(health.warn_disk_free_mb, health.min_disk_free_mb)
    return Finding(
        bad=f"disk: {free_mb:.0f} MB free, below {least_mb} MB" if free_mb < least_mb else "",
        is_well=free_mb >= least_mb * DISK_FACTOR,
        good=f"disk: {free_mb:.0f} MB free again",
        meaning=f"below {health.min_disk_free_mb} MB this node does not contend for the lease",
        fix="free some space: df -h, du -xh / | sort -h",
    )


def _heat(resources: Resources, health: HealthConfig) -> Finding | None:
    degrees_c, zone = resources.temperature_c, resources.temperature_zone
    if degrees_c is None:
        return None
    most_c = min(health.warn_temperature_c, health.max_temperature_c)
    is_hot = degrees_c > most_c
    return Finding(
        bad=f"temperature: {degrees_c:.0f} °C in {zone}, above {most_c:g} °C" if is_hot else "",
        is_well=degrees_c < most_c - COOLER_BY_C,
        good=f"temperature: {degrees_c:.0f} °C in {zone}, cool enough again",
        meaning=f"above {health.max_temperature_c:g} °C this node does not contend for the lease",
        fix="cool the box: fan, air, shade, no stack of boxes",
    )


def _memory(resources: Resources, health: HealthConfig) -> Finding:
    used_mb, most_mb = resources.memory_mb, min(health.warn_memory_mb, health.max_memory_mb)
    is_high = used_mb > most_mb
    return Finding(
        bad=f"memory: the node uses {used_mb:.0f} MB, above {most_mb} MB" if is_high else "",
        is_well=used_mb < most_mb * MEMORY_FACTOR,
        good=f"memory: the node uses {used_mb:.0f} MB again",
        meaning=f"above {health.max_memory_mb} MB this node does not contend for the lease",
        fix="restart the node at a quiet moment (nodectl switchover first, if it leads)",
    )


def _box_memory(resources: Resources, health: HealthConfig) -> Finding | None:
    free_mb, least_mb = resources.board.memory_free_mb, health.warn_box_memory_mb
    if free_mb is None or not least_mb:
        return None
    is_low = free_mb < least_mb
    return Finding(
        bad=f"box memory: {free_mb:.0f} MB left, below {least_mb} MB" if is_low else "",
        is_well=free_mb >= least_mb * DISK_FACTOR,
        good=f"box memory: {free_mb:.0f} MB left again",
        meaning="the box may swap to its card, or the kernel may end the node",
        fix="see what uses it (ps aux --sort=-rss); a desktop is the usual one",
    )


def _cpu(percent: float | None, health: HealthConfig) -> Finding | None:
    most = health.warn_cpu_percent
    if percent is None or most >= CPU_NEVER:
        return None
    is_busy = percent > most
    return Finding(
        bad=f"processor: {percent:.0f} % busy over ten minutes, above {most:g} %"
        if is_busy
        else "",
        is_well=percent < most * CPU_FACTOR,
        good=f"processor: {percent:.0f} % busy again",
        meaning="the heartbeat may come late; a pause above a third of the ttl is told by itself",
        fix="see what uses it (top); move other work to another box",
        lasting_s=0.0,  # the ten minutes are in the figure
    )


def _card(resources: Resources, writes: WriteRate | None, health: HealthConfig) -> Finding | None:
    if writes is None or not resources.board.is_card:
        return None
    disk, most_mb = resources.board.disk, health.warn_card_mb_per_day
    pace = (
        f"{disk} is written {writes.mb_per_day:.0f} MB a day ({writes.written_mb:.0f} MB in the "
        f"last {show_duration(round(writes.measured_s))})"
    )
    return Finding(
        bad=f"card: {pace}, above {most_mb} MB" if writes.mb_per_day > most_mb else "",
        is_well=writes.mb_per_day < most_mb * WRITES_FACTOR,
        good=f"card: {pace}",
        meaning="a card wears out and then fails without a word; the other box has the journal too",
        fix="see what writes (iotop -ao); logs to memory, a USB SSD, or raise "
        "health.warn_card_mb_per_day",
        lasting_s=0.0,
        calm_s=FLAPPING_CALM_S,
    )


def _power(resources: Resources, health: HealthConfig) -> Finding | None:
    alarm, volts = resources.board.has_supply_alarm, resources.board.supply_v
    least_v = health.warn_supply_v
    if not least_v:
        volts = None
    if alarm is None and volts is None:
        return None
    bad = "power: undervoltage, says the board" if alarm else ""
    if not bad and volts is not None and volts < least_v:
        bad = f"power: the supply gives {volts:.2f} V, below {least_v:g} V"
    is_enough = volts is None or volts >= least_v + SUPPLY_MARGIN_V
    return Finding(
        bad=bad,
        is_well=not alarm and is_enough,
        good="power: the supply is good again",
        meaning="undervoltage slows the processor, resets boards and corrupts cards",
        fix="a stronger supply, a shorter and thicker cable, fewer USB devices; Jetson Nano: the "
        "barrel jack",
        lasting_s=0.0,  # the board itself has seen it; it may be over at the next look
        calm_s=FLAPPING_CALM_S,
    )


def _slowed(resources: Resources) -> Finding | None:
    slowed_by = resources.board.slowed_by
    if slowed_by is None:
        return None
    return Finding(
        bad=f"slowed: the kernel slows the processor because of heat ({slowed_by})"
        if slowed_by
        else "",
        is_well=not slowed_by,
        good="slowed: the processor runs at full speed again",
        meaning="everything takes longer; takeovers too",
        fix="cool the box: fan, air, shade, no stack of boxes",
        calm_s=FLAPPING_CALM_S,
    )


def _address(resources: Resources, places: Mapping[str, str]) -> Finding | None:
    addresses = resources.board.addresses
    if addresses is None or not places:
        return None
    here = {address.text for address in addresses}
    missing = [f"{text} ({place})" for text, place in places.items() if text not in here]
    return Finding(
        bad=f"address: this box does not have {', '.join(missing)}; it has {_listed(addresses)}"
        if missing
        else "",
        is_well=not missing,
        good=f"address: this box has {', '.join(places)} again",
        meaning="the other box looks for this one, and for its store, where it no longer is",
        fix="reserve the address for this box in the router, or give both boxes the new one in "
        "cluster.toml",
    )


def _listed(addresses: Iterable[Address]) -> str:
    shown = [
        f"{a.text}{' (leased, by DHCP)' if a.is_leased else ''}"
        for a in addresses
        if (parsed := _parsed(a.text)) and not (parsed.is_loopback or parsed.is_link_local)
    ]
    return ", ".join(shown) or "none"


def _clock(resources: Resources, health: HealthConfig) -> Finding | None:
    is_good, after_s = resources.board.is_clock_synchronised, health.warn_clock_after_s
    if is_good is None or not after_s:
        return None
    return Finding(
        bad="" if is_good else "clock: this box's clock is not synchronised",
        is_well=is_good,
        good="clock: this box's clock is synchronised again",
        meaning="trading goes on: the lease and the venue's deadlines have clocks of their own; "
        "times in logs and messages may be wrong",
        fix="timedatectl status; let the box reach a time server (UDP port 123); deploy again "
        "where no time service is active",
        lasting_s=float(after_s),
    )

"""The doctor's checks of one box: what would be missing on the night when it matters. Pure.

Rules of this file are those of findings.py. What a running node warns of itself is not said twice.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from types import MappingProxyType

from node.box_warnings import Known, expected_addresses, find_warnings
from node.config_model import Config
from node.doctor.box_facts import NODE_UNIT, BoxFacts
from node.doctor.findings import Finding, Level

# File systems in memory: what they hold is gone with the power.
VOLATILE = frozenset({"overlay", "tmpfs", "ramfs"})
# Below this a Nano's supply is on its way to undervoltage; the warning itself comes at 4.65 V.
NANO_HEALTHY_V = 4.8
RESTARTS_MANY = 3
# Of this process, or in need of minutes of readings: only the node itself can say them.
_ONLY_THE_NODE = frozenset({"memory", "processor", "card"})
_OFF = frozenset({"", "0", "infinity", "n/a"})


def check_box(box: BoxFacts, config: Config, *, told: Collection[str] = ()) -> tuple[Finding, ...]:
    """Return what is wrong with this box; `told`: what its running node warns of already."""
    found = [finding for check in CHECKS for finding in check(box)]
    return (*found, *_warnings(box, config, {text.partition(":")[0] for text in told}))


def check_lasting(box: BoxFacts) -> Iterator[Finding]:
    """State that lies in memory is lost with the power."""
    if box.state_kind in VOLATILE:
        yield _finding(
            box,
            Level.LOOK,
            f"the state directory lies on a file system in memory ({box.state_kind}): epochs, "
            "promises and journal are gone after a power cut",
            "put state_dir on a disk or card that keeps it; raspi-config: overlay file system off",
        )
    elif box.root_kind in VOLATILE:
        yield _finding(
            box,
            Level.GOOD,
            f"the root file system is an {box.root_kind}: changes outside the state directory are "
            "gone after a reboot",
            "switch it off before a deployment (raspi-config), or it is undone by the next boot",
        )


def check_memory_limit(box: BoxFacts) -> Iterator[Finding]:
    """Without the memory cgroup a limit of the unit is silently ignored."""
    if box.has_memory_limit is False:
        yield _finding(
            box,
            Level.LOOK,
            "the kernel's memory cgroup is off: the unit's memory limit is ignored",
            "Raspberry Pi: add cgroup_enable=memory to the one line of /boot/firmware/cmdline.txt "
            "(older images: /boot/cmdline.txt) and reboot",
        )


def check_watchdog(box: BoxFacts) -> Iterator[Finding]:
    """A box that hangs as a whole is reset by nobody else."""
    if not box.has_systemd:
        return
    if not box.watchdogs:
        yield _finding(
            box,
            Level.GOOD,
            "no hardware watchdog is seen: a box that hangs stays so until somebody pulls its plug",
            "Raspberry Pi: dtparam=watchdog=on in config.txt; a PC without one: the module softdog",
        )
    elif box.pid1_feeds in _OFF and not any(dog.state == "active" for dog in box.watchdogs):
        yield _finding(
            box,
            Level.LOOK,
            f"the hardware watchdog ({box.watchdogs[0].identity or box.watchdogs[0].name}) is not "
            "used: a box that hangs stays so, and you have no spare",
            "deploy again: that switches it on; or RuntimeWatchdogSec=1min (a Jetson: 2min) below "
            "[Manager] in a file of /etc/systemd/system.conf.d, then systemctl daemon-reexec",
        )


def check_journald(box: BoxFacts) -> Iterator[Finding]:
    """What the box said before it died is what you want to read."""
    seen = box.journald
    if seen is None:
        return
    if seen.is_persistent is False:
        why = f" (Storage={seen.storage})" if seen.storage else ""
        yield _finding(
            box,
            Level.LOOK,
            f"journald keeps its log in memory{why}: after a power cut the log of the boot that "
            "failed is gone",
            "Storage=persistent and SystemMaxUse=100M below [Journal] in "
            "/etc/systemd/journald.conf.d/60-hotspare.conf, then restart systemd-journald",
        )
    elif seen.is_persistent and not seen.cap and _is_card(box):
        used = f", {seen.used_mb:.0f} MB now" if seen.used_mb is not None else ""
        yield _finding(
            box,
            Level.GOOD,
            f"journald has no limit of its own on this card (a tenth of it, at most 4 GB{used})",
            "SystemMaxUse=100M below [Journal] in /etc/systemd/journald.conf.d/60-hotspare.conf",
        )


def check_power(box: BoxFacts) -> Iterator[Finding]:
    """A supply that is too weak resets a board when it works hardest: at a takeover."""
    if box.power_past:
        yield _finding(
            box,
            Level.LOOK,
            f"since the boot the board has seen: {', '.join(box.power_past)}",
            "the board's own supply, a short thick cable, fewer USB devices; cool it",
        )
    volts = None if box.resources is None else box.resources.board.supply_v
    if "jetson nano" in box.model.lower() and (volts is None or volts < NANO_HEALTHY_V):
        measured = "is not measured here" if volts is None else f"gives {volts:.2f} V"
        yield _finding(
            box,
            Level.GOOD,
            f"the supply of this Nano {measured}; micro-USB supplies are often too weak for it",
            "use the barrel jack (5 V, 4 A) with the jumper J48 set",
        )


def check_units(box: BoxFacts) -> Iterator[Finding]:
    """What systemd does for the node: start it at boot, start it again, end it when it hangs."""
    if not box.has_systemd:
        return
    for name, unit in box.units.items():
        if unit.get("LoadState") != "loaded":
            if name == NODE_UNIT:
                yield _finding(
                    box,
                    Level.GOOD,
                    f"there is no unit {name}: nothing starts the node after a crash or a boot",
                    "make deploy-primary or deploy-standby, or write a unit (docs/stop-hook.md)",
                )
            continue
        yield from _check_unit(box, name, unit)


def _check_unit(box: BoxFacts, name: str, unit: Mapping[str, str]) -> Iterator[Finding]:
    active, sub = unit.get("ActiveState", ""), unit.get("SubState", "")
    restarts = int(count) if (count := unit.get("NRestarts", "")).isdigit() else 0
    if unit.get("UnitFileState") in {"disabled", "masked"}:
        yield _finding(
            box,
            Level.ACT,
            f"{name} is {unit['UnitFileState']}: it does not come back after a reboot",
            f"sudo systemctl enable {name}",
        )
    if sub == "auto-restart" or (active == "activating" and restarts):
        yield _finding(
            box,
            Level.ACT,
            f"{name} does not start: it was started again {restarts} times, last result "
            f"{unit.get('Result', '?')}",
            f"journalctl -u {name} -n 50; nodectl config check",
        )
    elif active in {"inactive", "failed"}:
        yield _finding(
            box,
            Level.LOOK,
            f"{name} does not run ({active}, last result {unit.get('Result', '?')})",
            f"sudo systemctl start {name}; journalctl -u {name} -n 50",
        )
    elif restarts:
        yield _finding(
            box,
            Level.LOOK if restarts >= RESTARTS_MANY else Level.GOOD,
            f"{name} was started again {restarts} times since it was last started by hand or boot",
            f"journalctl -u {name} -p warning -n 50 says why",
        )
    if name == NODE_UNIT and unit.get("WatchdogUSec", "?") in _OFF:
        yield _finding(
            box,
            Level.LOOK,
            f"{name} has no WatchdogSec: a node that hangs keeps its place and does nothing",
            "deploy again, or WatchdogSec=20 in the unit (docs/stop-hook.md)",
        )


def _warnings(box: BoxFacts, config: Config, told: Collection[str]) -> Iterator[Finding]:
    if box.resources is None:
        return
    known = Known(
        cpu_percent=None,
        writes=None,
        places=MappingProxyType(expected_addresses(config, box.node_id)),
    )
    for name, warning in find_warnings(box.resources, config.health, known).items():
        if warning.bad and name not in _ONLY_THE_NODE and warning.bad.partition(":")[0] not in told:
            yield _finding(box, Level.LOOK, f"{warning.bad}; {warning.meaning}", warning.fix)


def _is_card(box: BoxFacts) -> bool:
    return box.resources is not None and box.resources.board.is_card


def _finding(box: BoxFacts, level: Level, what: str, fix: str) -> Finding:
    return Finding(level=level, area="box", what=f"{box.label}: {what}", fix=fix)


CHECKS: tuple[Callable[[BoxFacts], Iterator[Finding]], ...] = (
    check_units,
    check_lasting,
    check_power,
    check_watchdog,
    check_memory_limit,
    check_journald,
)

"""The hardware watchdog: PID 1 feeds it, and the board resets itself when the system hangs. Pure.

Rules of this file: one setting, for a board that has a watchdog and on which nobody has said
anything about it; what somebody else has set is theirs. It ends a box that hangs; a box that is
only cut off is the lease's matter.
"""

from deploy import places
from deploy.facts import BoxFacts
from deploy.wants import Absent, Directory, File, Manager, Want

PROPERTY = "RuntimeWatchdogUSec"
"""What systemctl shows of RuntimeWatchdogSec=."""

# Half of it, and systemd is late once and the board resets; twice, and a box that hangs is away
# for minutes before its place as the spare is filled again. Written as systemctl shows it.
_PI = (
    "1min",
    "A Pi's own timer counts 15 s at most, and the kernel feeds it in between: 15 s here reset a\n"
    "# Pi Zero while it still loaded drivers, at every boot. A minute is Raspberry Pi OS's choice.",
)
_TEGRA = (
    "2min",
    "Two minutes are the Tegra timer's own; it resets between two thirds of them and the whole.",
)
_OTHER = (
    "2min",
    "This board's timer is not known: two minutes, for a minute reset a board that was only\n"
    "# saturated.",
)


def watchdog_wants(facts: BoxFacts) -> tuple[Want, ...]:
    """Return what makes PID 1 feed this board's watchdog; nothing where there is none.

    Source: systemd-system.conf(5); the kernel's bcm2835_wdt.c.
    """
    if not facts.has_watchdog:
        return ()
    if facts.watchdog_set_by:
        # what PID 1 has read of ours stays until it starts anew: a watchdog all the same
        return (Absent(path=places.WATCHDOG),)
    setting, why = _of(facts.compatible)
    content = f"""\
# Written by hotspare's deployment: the next one overwrites it.
# systemd feeds the board's watchdog. A box that hangs as a whole is reset and comes back as the
# spare; nobody else would, and until then the other box has none.
# {why}
[Manager]
RuntimeWatchdogSec={setting}
"""
    return (
        Directory(path=places.WATCHDOG.rpartition("/")[0]),
        File(path=places.WATCHDOG, content=content.encode()),
        Manager(name=PROPERTY, value=setting),
    )


def _of(compatible: tuple[str, ...]) -> tuple[str, str]:
    """Return the setting for a board by its device tree, and why."""
    if any(name.startswith("raspberrypi,") for name in compatible):
        return _PI
    if any(name.startswith("nvidia,tegra") for name in compatible):
        return _TEGRA
    return _OTHER

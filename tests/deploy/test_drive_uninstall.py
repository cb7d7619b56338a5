"""A box is given back as it was found, to the last file, package, user, unit and setting.

Boxes here have no hardware watchdog, and as containers they do not set the machine's clock. So
an empty file stands in for /dev/watchdog0: it shows what PID 1 is told, not that a board is reset;
and of the clock it shows that the service is switched on, not that it runs.
"""

import uuid

import pytest

from deploy import places
from tests.deploy.boxes import Box
from tests.deploy.conftest import HomeMaker
from tests.deploy.home import JETSON, PI, Home
from tests.deploy.looks import holdings
from tests.deploy.test_drive import changes_of

pytestmark = [pytest.mark.boxes, pytest.mark.timeout(2400)]

OF_THE_IMAGE = "/usr/lib/systemd/system.conf.d/40-rpi-enable-watchdog.conf"
JOURNALD = "/usr/lib/systemd/journald.conf.d"
IMAGE = f"""
touch /dev/watchdog0
mkdir -p "$(dirname {OF_THE_IMAGE})"
printf '[Manager]\\nRuntimeWatchdogSec=1m\\n' >{OF_THE_IMAGE}
systemctl daemon-reexec
mkdir -p {JOURNALD}
printf '[Journal]\\nStorage=volatile\\n' >{JOURNALD}/40-rpi-volatile-storage.conf
systemctl restart systemd-journald
"""


def fed_every(box: Box) -> str:
    """Return how long PID 1 tells the watchdog to wait."""
    return box.run("systemctl show -p RuntimeWatchdogUSec --value").strip()


def is_clock_set(box: Box) -> bool:
    """Tell whether the box starts a service that sets its clock."""
    return box.ssh("systemctl is-enabled systemd-timesyncd").stdout.strip() == "enabled"


def is_log_kept(box: Box) -> bool:
    """Tell whether a line that is logged now reaches the card."""
    mark = uuid.uuid4().hex
    box.run(f"logger {mark}; journalctl --sync")
    return mark in box.ssh("sudo journalctl -q --no-pager -D /var/log/journal").stdout


def mend_under_a_running_node(home: Home, archive: str) -> None:
    """PID 1 is asked what it does, whatever the file says; and starts anew below what runs."""
    jetson = home.boxes[JETSON]
    running = "systemctl show -p MainPID -p NRestarts hotspare-node"
    before = jetson.run(running)
    aside = "/run/aside"
    jetson.run(
        f"mv {places.WATCHDOG} {aside}; systemctl daemon-reexec; mv {aside} {places.WATCHDOG}"
    )
    assert fed_every(jetson) == "0"
    said = home.must("deploy-primary", PYTHON_ARCHIVE=archive)
    assert changes_of(said) == ["  changed systemd RuntimeWatchdogUSec=2min"]
    assert (fed_every(jetson), jetson.run(running)) == ("2min", before)
    home.wait_trading(PI)


def test_uninstall_leaves_a_box_as_it_was_found(make_home: HomeMaker) -> None:
    """With a store and a paper exchange, and with a Python that was brought; twice is once.

    Nothing sets the Pi's clock, but its image feeds the watchdog; at the Jetson it is the reverse.
    Both keep their log in memory: the Pi's image says so, and the Jetson has no folder for it.
    """
    home = make_home(jetson="bookworm", raspberrypi="trixie")
    jetson, raspberry = home.boxes[JETSON], home.boxes[PI]
    jetson.run("touch /dev/watchdog0; rm -rf /var/log/journal; systemctl restart systemd-journald")
    raspberry.run(f"systemctl disable -q systemd-timesyncd; {IMAGE}")
    found = {name: holdings(home.boxes[name]) for name in (JETSON, PI)}
    archive = home.environ["PYTHON_ARCHIVE_FOR_OLD"]

    dry = home.must("deploy-primary", PYTHON_ARCHIVE=archive, DRY_RUN="1")
    assert "would change systemd RuntimeWatchdogUSec=2min" in dry
    assert "would change clock" in home.must("deploy-standby", DRY_RUN="1")
    assert (fed_every(jetson), is_clock_set(raspberry)) == ("0", False)
    assert (is_log_kept(jetson), is_log_kept(raspberry)) == (False, False)

    said = home.must("deploy-standby")
    assert "changed clock" in said
    assert f"left as it is: {OF_THE_IMAGE}" in said
    assert is_clock_set(raspberry)
    assert raspberry.ssh(f"ls {places.WATCHDOG}").returncode != 0
    said = home.must("deploy-primary", PYTHON_ARCHIVE=archive)
    assert "clock set" not in said
    assert (fed_every(jetson), fed_every(raspberry)) == ("2min", "1min")
    home.wait_trading(PI)
    assert (is_log_kept(jetson), is_log_kept(raspberry)) == (True, True)
    mend_under_a_running_node(home, archive)
    for target, words in (("deploy-primary", {"PYTHON_ARCHIVE": archive}), ("deploy-standby", {})):
        assert "nothing to change" in home.must(target, **words)

    for name in (PI, JETSON):
        dry = home.must("uninstall", BOX=name, FORCE="1", DRY_RUN="1")
        assert "would change remove /opt/hotspare" in dry
        home.must("uninstall", BOX=name, FORCE="1")
        now = holdings(home.boxes[name])
        assert (sorted(now - found[name]), sorted(found[name] - now)) == ([], []), name
        assert "nothing to change" in home.must("uninstall", BOX=name)
    assert (fed_every(jetson), is_clock_set(jetson)) == ("0", True)
    assert (fed_every(raspberry), is_clock_set(raspberry)) == ("1min", False)
    assert (is_log_kept(jetson), is_log_kept(raspberry)) == (False, False)
    assert jetson.ssh("ls -d /var/log/journal").returncode != 0

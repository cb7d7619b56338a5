"""A box whose node cannot start says so at the phone, once, while the other one trades on.

What fails here fails before the node can speak: settings that are no TOML (on systemd 252), and
secrets that others can read (on 257) while the phone is away. systemd starts it again and again.
"""

from dataclasses import dataclass

import pytest

from deploy import places
from tests.deploy.conftest import HomeMaker
from tests.deploy.home import JETSON, PI, Home
from tests.deploy.looks import ProcessWatch, logged, readable_by_all
from tests.deploy.test_drive import deploy_both
from tests.deploy.test_drive_witness import judge, wait_order

pytestmark = [pytest.mark.boxes, pytest.mark.timeout(2400)]

CONFIG = f"{places.SETTINGS_CURRENT}/cluster.toml"
STARTS_AFTER = 3
"""So many more starts fail after a person was told, before silence is believed."""


@dataclass(frozen=True, slots=True)
class Patient:
    """The box whose node shall not start; `other` is the one that trades on."""

    home: Home
    name: str
    other: str

    @property
    def alarms(self) -> list[str]:
        """The messages about its starts that fail."""
        said = f"{self.name} cannot start"
        return [m.text for m in self.home.telegram.api.messages if said in m.text]

    @property
    def started(self) -> int:
        """How many messages say that it has started."""
        said = f"{self.name} started as standby"
        return sum(said in m.text for m in self.home.telegram.api.messages)

    @property
    def critical(self) -> str:
        """What its unit said to journald as critical."""
        return self.run(f"journalctl -u {places.NODE_UNIT} -p crit -o cat --no-pager")

    def run(self, command: str) -> str:
        """Run a command there as root."""
        return self.home.boxes[self.name].run(command)

    def restart(self) -> None:
        """Start its node anew, without waiting for what comes of it."""
        self.run(f"systemctl --no-block restart {places.NODE_UNIT}")

    def wait_more_starts(self) -> None:
        """Wait until systemd has started it in vain some more times."""
        since = self._restarts()
        self.home.wait(
            lambda: self._restarts() >= since + STARTS_AFTER, f"more starts of {self.name}"
        )

    def wait_good_again(self, started_before: int) -> None:
        """Wait until it is a spare and has said so; nobody starts it but systemd."""
        self.home.wait_trading(self.other, self.other)
        self.home.wait(lambda: self.started > started_before, f"{self.name} says that it started")

    def _restarts(self) -> int:
        said = self.run(f"systemctl show -p NRestarts {places.NODE_UNIT}")
        return int(said.strip().removeprefix("NRestarts="))


def report_of(home: Home, name: str) -> str:
    """Return the page that `nodectl doctor --report` prints on a box."""
    made = home.boxes[name].ssh("nodectl doctor --report")
    assert made.returncode == 0, made.stdout + made.stderr
    assert not [secret for secret in home.secrets if secret in made.stdout + made.stderr]
    return made.stdout


def break_the_settings(home: Home) -> None:
    """A line too much in cluster.toml: one message, however often systemd starts it."""
    jetson = Patient(home, JETSON, PI)
    jetson.run(f"cp -p {CONFIG} /root/ && echo 'lease = [' >>{CONFIG}")
    jetson.restart()
    home.wait(lambda: jetson.alarms, "the phone hears of it")
    assert "exit code 4 (configuration or secrets must be mended)" in jetson.alarms[0]
    assert "is not TOML" in jetson.alarms[0]
    wait_order(home, PI)
    page = report_of(home, JETSON)
    assert "is not TOML" in page
    assert '"is_told": true' in page
    jetson.wait_more_starts()
    assert len(jetson.alarms) == 1, home.told()
    started = jetson.started
    jetson.run(f"cp -p /root/cluster.toml {CONFIG}")
    jetson.wait_good_again(started)


def let_others_read_the_secrets(home: Home) -> None:
    """Refused; with the phone away journald has it as critical, and the phone hears it later."""
    pi, file = Patient(home, PI, JETSON), f"{places.SECRETS}/{PI}.toml"
    home.telegram.down()
    pi.run(f"chmod 644 {file}")
    pi.restart()
    home.wait(lambda: "not told by message" in pi.critical, "a critical line in the journal")
    assert "others can read it" in pi.critical
    wait_order(home, JETSON)
    assert pi.alarms == [], home.told()

    home.telegram.up()
    home.wait(lambda: pi.alarms, "the phone hears of it once it is there again")
    assert f"secrets/{PI}.toml: others can read it" in pi.alarms[0]
    pi.wait_more_starts()
    assert len(pi.alarms) == 1, home.told()
    started = pi.started
    pi.run(f"chmod 600 {file}")
    pi.wait_good_again(started)


def test_a_node_that_cannot_start_is_told_once_and_never_shows_a_secret(
    make_home: HomeMaker,
) -> None:
    home = make_home(jetson="bookworm", raspberrypi="trixie", has_venue=True)
    with ProcessWatch(home.secrets) as watch:
        deploy_both(home)
        break_the_settings(home)
        let_others_read_the_secrets(home)
        assert "jetson leads since" in report_of(home, PI)
    assert any(b"tell-failed-start" in line for line in watch.seen)
    assert not watch.shown
    phone = "".join(m.text for m in home.telegram.api.messages)
    assert not [secret for secret in home.secrets if secret in phone]
    for name in (JETSON, PI):
        assert not readable_by_all(home.boxes[name], home.secrets), name
        assert not logged(home.boxes[name], home.secrets), name
    judge(home)

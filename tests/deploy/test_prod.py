"""PROFILE=prod: what is shown and asked before real money, at the paper exchange and by `make`."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydantic import SecretStr

from deploy.errors import DeployError
from deploy.keys import masked
from deploy.prod import GUARANTEES, approve, unproven
from exchange.paper.process import PaperAccount, PaperKey, PaperProcess
from node.config_model import Config, Profile
from node.init import GivenSecrets, write_cluster
from node.init_answers import Answers
from node.secrets import Secrets, VenueSecrets
from tests.support.paper_server import still_symbol

ROOT = Path(__file__).parents[2]
UID, OTHER_UID = 1001, 2002
KEYS = {
    name: PaperKey(name=name, key=f"{name}-key-0123456789", secret=f"{name}-secret-0123456789")
    for name in ("jetson", "raspberrypi", "other")
}
GREEDY = PaperKey(
    name="greedy", key="greedy-key-0123456789", secret="greedy-secret-012345", can_withdraw=True
)
IDLE = PaperKey(name="idle", key="idle-key-0123456789", secret="idle-secret-0123", can_trade=False)
ANSWERS = Answers(
    preferred_host="192.168.1.11", standby_host="192.168.1.12", symbols=("ETH/BTC",), chat_id=1
)


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaperProcess]:
    """Two accounts; the main one has a key for each node, one that may withdraw, one read-only."""
    folder = tmp_path_factory.mktemp("paper")
    own = (KEYS["jetson"], KEYS["raspberrypi"], GREEDY, IDLE)
    accounts = [
        PaperAccount(name="main", uid=UID, balances={"BTC": "1"}, keys=own),
        PaperAccount(name="other", uid=OTHER_UID, balances={"BTC": "1"}, keys=(KEYS["other"],)),
    ]
    with PaperProcess(folder, accounts=accounts, symbols=[still_symbol(folder)]) as process:
        yield process


@dataclass(slots=True)
class Desk:
    """A cluster that means real money, at an exchange that is none."""

    config: Config
    said: list[str] = field(default_factory=list)

    def approve(
        self, *keys: PaperKey, name: str = "home", is_forced: bool = False, is_dry: bool = False
    ) -> str:
        """Approve it with these keys of Jetson and Pi; return what was said."""
        secrets = {
            node: Secrets(
                venue=VenueSecrets(api_key=SecretStr(k.key), api_secret=SecretStr(k.secret))
            )
            for node, k in zip(self.config.nodes, keys, strict=True)
        }
        releases = {"jetson": "0.1.0-abc"}
        approve(
            self.config,
            secrets,
            releases,
            name=name,
            is_forced=is_forced,
            is_dry=is_dry,
            say=self.said.append,
        )
        return "\n".join(self.said)


@pytest.fixture
def desk(tmp_path: Path, paper: PaperProcess) -> Desk:
    """The loader refuses a base_url in prod, so it is put in afterwards."""
    config = write_cluster(tmp_path, ANSWERS, GivenSecrets()).config
    return Desk(
        config.model_copy(
            update={
                "cluster": config.cluster.model_copy(update={"profile": Profile.PROD}),
                "venue": config.venue.model_copy(update={"base_url": paper.url}),
            }
        )
    )


def test_two_keys_of_one_account_and_the_name_are_what_it_takes(desk: Desk) -> None:
    """Shown: keys by four characters, limits, topology, fingerprint, release, what is unproven."""
    keys = (KEYS["jetson"], KEYS["raspberrypi"])
    text = desk.approve(*keys)
    assert "different keys of the same account, none may withdraw" in text
    for words in (
        "REAL MONEY: cluster prod-home at binance",
        "jetson jets…, raspberrypi rasp…",
        "max_order_value 50",
        "hold on ETH/BTC (fingerprint ",
        "jetson: 0.1.0-abc",
        "Two boxes, one store",
        "Nothing has been tried on a real Jetson Nano",
    ):
        assert words in text
    for key in keys:
        assert key.key not in text
        assert key.secret not in text


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        pytest.param((KEYS["jetson"], KEYS["jetson"]), "the same API key", id="one key for both"),
        pytest.param((KEYS["jetson"], KEYS["other"]), "different accounts", id="two accounts"),
        pytest.param((KEYS["jetson"], GREEDY), "may withdraw", id="may withdraw"),
        pytest.param((KEYS["jetson"], IDLE), "may not trade", id="may not trade"),
        pytest.param(
            (KEYS["jetson"], PaperKey(name="x", key="unknown-key-01234", secret="unknown-0123")),
            "the exchange refuses the key",
            id="unknown key",
        ),
    ],
)
def test_what_the_exchange_says_against_a_key_cannot_be_forced(
    desk: Desk, keys: tuple[PaperKey, PaperKey], words: str
) -> None:
    """FORCE=1 is for an exchange that cannot be asked."""
    with pytest.raises(DeployError) as refused:
        desk.approve(*keys, is_forced=True)
    said = str(refused.value)
    assert words in said
    assert "nothing was changed" in said
    assert not [k for k in keys if k.key in said or k.secret in said]


def test_an_exchange_that_cannot_be_asked_is_said_and_must_be_forced(desk: Desk) -> None:
    """Nobody listens there: the owner looks for himself, or it does not go on."""
    venue = desk.config.venue.model_copy(update={"base_url": "http://127.0.0.1:9"})
    desk.config = desk.config.model_copy(update={"venue": venue})
    keys = (KEYS["jetson"], KEYS["raspberrypi"])
    with pytest.raises(DeployError, match="could not be checked"):
        desk.approve(*keys)
    assert "could not be asked" in desk.approve(*keys, is_forced=True)


@pytest.mark.parametrize("name", ["", "Home", "prod-home", "away"])
def test_another_name_changes_nothing(desk: Desk, name: str) -> None:
    """The name is the cluster's, exactly."""
    keys = (KEYS["jetson"], KEYS["raspberrypi"])
    with pytest.raises(DeployError, match="NAME=home; nothing was changed"):
        desk.approve(*keys, name=name, is_forced=True)
    assert "REAL MONEY" in desk.approve(*keys, name=name, is_dry=True)


def test_other_profiles_are_not_asked(desk: Desk) -> None:
    """Paper money passes."""
    cluster = desk.config.cluster.model_copy(update={"profile": Profile.TEST})
    desk.config = desk.config.model_copy(update={"cluster": cluster})
    assert not desk.approve(KEYS["jetson"], KEYS["jetson"], name="")


def test_what_is_unproven_is_read_from_the_guarantees() -> None:
    """The page and the list cannot drift apart."""
    found = unproven(GUARANTEES.read_text(encoding="utf-8"))
    assert len(found) > 5
    assert "Nothing has been tried" in found[0]
    assert "Resting orders stay at the venue" in found


def test_a_key_is_shown_by_its_first_characters() -> None:
    """Enough to find it in the exchange's list."""
    assert masked("vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zv") == "vmPU…"


# --- the command itself -----------------------------------------------------------------------

FAKE_SSH = """#!/bin/sh
# stands for a box: says what it is, and notes whatever else it is asked
case " $* " in
  *" -M -N -f "* | *" -O exit "*) exit 0 ;;
esac
given=$(mktemp "$NOTES/given.XXXXXX")
cat >"$given"
if grep -aq '^# Says what this box is' "$given"; then exec cat "$NOTES/facts"; fi
echo "$*" >>"$NOTES/changing"
"""
FACTS = """architecture=armhf
systemd=252
store_server=/usr/bin/redis-server
store_version=4.0.9
sudo=root
user=root
addresses=192.168.1.13
"""
Typed = Callable[..., tuple[int, str, bool]]


@pytest.fixture
def typed(tmp_path: Path) -> Typed:
    """Type `make deploy-witness PROFILE=prod ...` where there is no way to the exchange.

    Returns exit code, what was said, and whether anything was changed anywhere.
    """
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("a network without a way out needs root and unshare")
    folder = tmp_path / "home"
    given = {n: (k.key, k.secret) for n, k in KEYS.items() if n != "other"}
    changes = {"profile": Profile.PROD, "accept_no_alerts": True, "chat_id": None}
    write_cluster(folder, ANSWERS.model_copy(update=changes), GivenSecrets(api_keys=given))
    ssh = tmp_path / "ssh"
    ssh.write_text(FAKE_SSH)
    ssh.chmod(0o755)
    (tmp_path / "facts").write_text(FACTS)
    before = (folder / "cluster.toml").read_text()

    def make(**variables: str) -> tuple[int, str, bool]:
        words = [f"{name}={value}" for name, value in variables.items()]
        done = subprocess.run(
            [
                *("unshare", "--net", "make", "-s", "deploy-witness", f"CLUSTER={folder}"),
                *("HOST=pi@192.168.1.13", "PROFILE=prod", *words),
            ],
            cwd=ROOT,
            env={**os.environ, "HOTSPARE_SSH": str(ssh), "NOTES": str(tmp_path)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        is_same = (folder / "cluster.toml").read_text() == before
        is_changed = not is_same or (tmp_path / "changing").exists()
        return done.returncode, done.stdout + done.stderr, is_changed

    return make


@pytest.mark.e2e
def test_the_command_itself_changes_nothing_without_check_and_name(typed: Typed) -> None:
    """In turn: not checked; no name; a wrong one; all said."""
    for variables, words in (
        ({}, "the keys could not be checked"),
        ({"FORCE": "1"}, "the cluster's name was not said"),
        ({"FORCE": "1", "NAME": "away"}, "'away' is not the cluster's name"),
        ({"FORCE": "1", "NAME": "home"}, "nobody is here to answer"),
    ):
        code, said, is_changed = typed(**variables)
        assert (code, words in said, is_changed) == (2, True, False), said
        assert "REAL MONEY: cluster prod-home" in said
        assert not [k for k in KEYS.values() if k.key in said or k.secret in said]
    code, said, is_changed = typed(FORCE="1", NAME="home", YES="1")
    assert (code, is_changed) == (0, True), said
    assert "Three stores" in said

"""nodectl stand-down: what it says, what it refuses, how it ends with the node stopped (R14)."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from election.model import NodeId
from election.peek import merged_members
from election.promise import NOTHING_PROMISED, Promise, PromiseMemory, PromiseState
from election.promise_file import DiskPromiseFile
from election.state_lock import StateClaim
from node.cli.common import look
from node.demo.stores import ServerMissing, StoreServer, free_port
from node.secrets import Secrets
from tests.support.nodectl import run_nodectl
from tests.support.peer_rig import KEY
from tests.support.puppet_pair import (
    PASSWORD,
    running_puppets,
    running_stores,
    wait_until,
    write_config,
)
from tests.support.status_cases import TWO

SECRETS = {"stores": {"default": {"password": PASSWORD}}}

STANDING = PromiseMemory(
    state=PromiseState.STANDING,
    promise=Promise(
        promise_id="p1",
        by=NodeId("raspberrypi"),
        by_nonce="n",
        to=NodeId("jetson"),
        to_nonce="m",
        epoch=3,
    ),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A pair on one machine whose nodes do not run."""
    text = TWO.replace("two-boxes", "single-host").replace("192.168.1.12", "127.0.0.1")
    for node in ("jetson", "raspberrypi"):
        place = f'[nodes.{node}]\nhost = "127.0.0.1"\npeer_port = {free_port()}\n'
        text = text.replace(f"[nodes.{node}]\n", place)
    (tmp_path / "cluster.toml").write_text(text)
    (tmp_path / "secrets").mkdir(mode=0o700)
    for node in ("jetson", "raspberrypi"):
        path = tmp_path / "secrets" / f"{node}.toml"
        path.write_text(f'[peer]\nkey = "{KEY}"\n')
        path.chmod(0o600)
        (tmp_path / "state" / node).mkdir(parents=True)
    return tmp_path


def nodectl(folder: Path, *arguments: str, answer: str = "") -> tuple[int, str]:
    """Say it on the Pi."""
    words = ("stand-down", "-n", "raspberrypi", "-c", folder / "cluster.toml", *arguments)
    return run_nodectl(*words, input=answer)


def file_of(folder: Path) -> DiskPromiseFile:
    return DiskPromiseFile(folder / "state" / "raspberrypi" / "promise.json")


def test_the_node_of_this_box_must_run(folder: Path) -> None:
    """It is the node that promises; without it nothing is promised."""
    code, text = nodectl(folder)
    assert code == 1
    assert "does not answer" in text
    assert "start it first" in text
    assert KEY not in text


def test_without_the_endpoint_nobody_can_be_promised_anything(folder: Path) -> None:
    """The mending names both settings."""
    (folder / "secrets" / "raspberrypi.toml").write_text("")
    code, text = nodectl(folder)
    assert code == 1
    assert "peer.key" in text


def test_options_exclude_each_other(folder: Path) -> None:
    """One thing at a time."""
    assert nodectl(folder, "--end", "--force")[0] == 64


def test_force_asks_whether_the_leader_is_off(folder: Path) -> None:
    """The question names the box and what happens if the answer is wrong."""
    file_of(folder).store(STANDING)
    code, text = nodectl(folder, "--force", answer="n\n")
    assert code == 1
    assert "two nodes would trade" in text
    assert "Jetson in the hall" in text
    assert file_of(folder).load() == STANDING


def test_force_ends_it_on_disk_while_the_node_is_stopped(folder: Path) -> None:
    """A person says that the other box is off; the state directory is claimed meanwhile."""
    file_of(folder).store(STANDING)
    with StateClaim(folder / "state" / "raspberrypi"):
        code, text = nodectl(folder, "--force", "--yes")
        assert (code, "runs but does not answer" in text) == (1, True), text
    assert file_of(folder).load() == STANDING
    code, text = nodectl(folder, "--force", answer="y\n")
    assert code == 0, text
    assert file_of(folder).load() == NOTHING_PROMISED


def test_force_on_a_disk_that_takes_nothing_is_not_called_a_running_node(folder: Path) -> None:
    file_of(folder).store(STANDING)
    claim = folder / "state" / "raspberrypi" / "claim"
    claim.unlink(missing_ok=True)
    claim.symlink_to("/dev/full")
    code, text = nodectl(folder, "--force", "--yes")
    assert (code, "has free space" in text, "runs" in text.split("→")[0]) == (1, True, False), text
    assert file_of(folder).load() == STANDING


def test_show_says_what_is_promised_and_whom_it_cannot_hear(folder: Path) -> None:
    """Exit code 1 while a promise stands, 0 when none does; also for programs."""
    file_of(folder).store(STANDING)
    code, text = nodectl(folder, "--show")
    assert code == 1
    assert "it promised Jetson in the hall not to contend" in text
    assert text.count("not heard directly") == 2
    code, text = nodectl(folder, "--show", "--json")
    found = json.loads(text)
    assert (code, found["promise"], found["given"]["epoch"]) == (1, "standing", 3)
    file_of(folder).store(NOTHING_PROMISED)
    code, text = nodectl(folder, "--show")
    assert (code, "nothing is promised" in text) == (0, True)


def test_show_warns_of_a_damaged_promise(folder: Path) -> None:
    """What cannot be read may stand."""
    (folder / "state" / "raspberrypi" / "promise.json").write_text("{")
    code, text = nodectl(folder, "--show")
    assert code == 1
    assert "promise.json" in text


@pytest.fixture(scope="module")
def store() -> Iterator[list[StoreServer]]:
    """One real store server."""
    try:
        with running_stores(1) as servers:
            yield servers
    except ServerMissing as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize(
    ("holder", "relies_on", "is_refused"),
    [("jetson", "", True), (None, "raspberrypi", True), (None, "", False)],
    ids=["it leads", "it relies on the promise", "it stands by"],
)
def test_force_sees_a_leader_in_the_store_without_the_endpoint(
    store: list[StoreServer],
    tmp_path: Path,
    holder: str | None,
    relies_on: str,
    *,
    is_refused: bool,
) -> None:
    """A card without peer.key cannot ask; the heartbeat of whoever leads is there to be seen."""
    config = write_config(tmp_path, store)
    (tmp_path / "state" / "raspberrypi").mkdir(parents=True)
    file_of(tmp_path).store(STANDING)
    with running_puppets(config) as puppets:
        puppets.holder, puppets.bodies["jetson"] = holder, {"relies_on": relies_on}

        def is_shown() -> bool:
            seen = merged_members(look(config, Secrets.model_validate(SECRETS)))[NodeId("jetson")]
            return seen.body.get("relies_on") == relies_on

        wait_until(is_shown)
        code, text = nodectl(tmp_path, "--force", "--yes")
    assert (code, "is alive and holds the lease" in text) == (int(is_refused), is_refused), text
    assert (file_of(tmp_path).load() == STANDING) is is_refused

"""nodectl init: what it writes can run, is private, and is never overwritten by accident."""

import errno
import os
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest

from node.config import load_config
from node.config_model import Topology
from node.errors import InitRefused
from node.init import CONFIG_NAME, MARKER, GivenSecrets, load_answers, write_cluster
from node.init_answers import Answers
from node.secrets import load_secrets

HOSTS = {
    "preferred_host": "192.168.1.11",
    "standby_host": "192.168.1.12",
    "witness_host": "192.168.1.13",
}


def make_answers(**changed: Any) -> Answers:
    """Answers of a pair in a home."""
    return Answers.model_validate({**HOSTS, **changed})


@pytest.mark.parametrize("topology", list(Topology))
@pytest.mark.parametrize("profile", ["dev", "test", "prod"])
def test_every_combination_can_be_loaded(topology: Topology, profile: str, tmp_path: Path) -> None:
    """What init writes is what the node accepts; single-host is refused in prod, as it should."""
    answers = make_answers(topology=topology, profile=profile, chat_id=5)
    if (topology, profile) == (Topology.SINGLE_HOST, "prod"):
        with pytest.raises(InitRefused, match="single-host"):
            write_cluster(tmp_path, answers, GivenSecrets())
        assert list(tmp_path.iterdir()) == []
        return
    written = write_cluster(tmp_path, answers, GivenSecrets())
    config = load_config(tmp_path / CONFIG_NAME, environ={})
    assert config == written.config
    assert config.cluster.topology is topology
    assert len(config.stores) == (3 if topology is Topology.THREE_STORES else 1)
    passwords = {
        load_secrets(config, node_id, {}).store_password(config.stores[0].name)
        for node_id in config.nodes
    }
    assert len(passwords) == 1
    assert (passwords == {None}) is (topology is Topology.SINGLE_HOST)


def test_secret_files_are_private_and_ignored(tmp_path: Path) -> None:
    """0600 in a 0700 folder, in .gitignore, and none of it in cluster.toml."""
    (tmp_path / ".gitignore").write_text("mine\nstate/", encoding="utf-8")
    given = GivenSecrets(
        api_keys={"jetson": ("key-of-jetson", 'sec"ret\\of')}, token="123456:token-of-bot"
    )  # fmt: skip
    written = write_cluster(tmp_path, make_answers(is_sandbox=True), given)
    for node_id in ("jetson", "raspberrypi"):
        mode = (tmp_path / "secrets" / f"{node_id}.toml").stat().st_mode
        assert stat.S_IMODE(mode) == 0o600
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    ignored = (tmp_path / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert ignored == ["mine", "state/", "secrets/", "new-cluster"]
    assert (tmp_path / MARKER).exists()
    secrets = load_secrets(written.config, "jetson", {})
    assert secrets.venue_key() == ("key-of-jetson", 'sec"ret\\of')
    assert written.to_fill_in == (tmp_path / "secrets" / "raspberrypi.toml",)
    public = (tmp_path / CONFIG_NAME).read_text(encoding="utf-8")
    assert not any(value in public for value in secrets.all_values())
    assert not list(tmp_path.rglob(".*.new"))


def test_nothing_is_overwritten_unless_asked(tmp_path: Path) -> None:
    """A lost secrets file cannot be brought back."""
    write_cluster(tmp_path, make_answers(), GivenSecrets())
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(InitRefused, match="already there"):
        write_cluster(tmp_path, make_answers(name="other"), GivenSecrets())
    assert before == {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    again = write_cluster(tmp_path, make_answers(name="other"), GivenSecrets(), may_overwrite=True)
    assert again.config.cluster.name == "other"


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"standby_host": ""}, "standby_host"),
        ({"standby_host": "127.0.0.1"}, "private leases"),
        ({"profile": "prod"}, "nobody would be told"),
        ({"standby_node": "jetson"}, "both nodes are called jetson"),
    ],
)
def test_answers_that_do_not_fit_write_nothing(
    changed: dict[str, Any], word: str, tmp_path: Path
) -> None:
    """Everything is checked before the first file."""
    with pytest.raises(InitRefused, match=word):
        write_cluster(tmp_path, make_answers(**changed), GivenSecrets())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    """No traceback for a full or read-only disk."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InitRefused, match="cannot be written"):
        write_cluster(tmp_path / "file", make_answers(), GivenSecrets())


def test_a_disk_that_fills_up_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said again with room, it must not hear that half of it is there already."""
    calls = iter(range(100))
    sync = os.fsync

    def fill(descriptor: int) -> None:
        if next(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fill)
        with pytest.raises(InitRefused, match=f"{tmp_path}: cannot be written: No space left"):
            write_cluster(tmp_path, make_answers(), GivenSecrets())
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == []
    write_cluster(tmp_path, make_answers(), GivenSecrets())


def test_answers_come_from_a_file_and_unknown_ones_are_refused(tmp_path: Path) -> None:
    """For scripts: the same answers as TOML."""
    path = tmp_path / "answers.toml"
    path.write_text(
        'topology = "two-boxes"\nstandby_host = "pi.lan"\nmax_order_value = 12.5\n',
        encoding="utf-8",
    )
    assert str(load_answers(path).max_order_value) == "12.5"
    path.write_text('topologie = "two-boxes"\n', encoding="utf-8")
    with pytest.raises(InitRefused, match="topologie"):
        load_answers(path)


def test_the_first_deployment_trades_paper_on_the_standbys_box(tmp_path: Path) -> None:
    """Its accounts are ours, so each box's key is made up, and nothing is left to fill in."""
    written = write_cluster(tmp_path, make_answers(), GivenSecrets())
    assert written.config.venue.base_url == "http://192.168.1.12:8800"
    assert written.to_fill_in == ()
    keys = {load_secrets(written.config, n, {}).venue_key() for n in ("jetson", "raspberrypi")}
    assert len(keys) == 2


def test_prod_and_the_sandbox_want_keys_of_the_exchange(tmp_path: Path) -> None:
    written = write_cluster(tmp_path, make_answers(is_sandbox=True), GivenSecrets())
    assert written.config.venue.base_url is None
    assert written.config.venue.is_sandbox
    assert len(written.to_fill_in) == 2


def test_the_inventory_names_each_box_and_no_secret(tmp_path: Path) -> None:
    answers = make_answers(topology=Topology.THREE_STORES)
    write_cluster(tmp_path, answers, GivenSecrets())
    boxes = tomllib.loads((tmp_path / "inventory.toml").read_text(encoding="utf-8"))["boxes"]
    assert {name: box["ssh"] for name, box in boxes.items()} == {
        "jetson": "192.168.1.11",
        "raspberrypi": "192.168.1.12",
        "witness": "192.168.1.13",
    }

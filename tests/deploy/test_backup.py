"""What `make backup` and `make restore` refuse before, or without, a box that answers."""

import getpass
import stat
import subprocess
from pathlib import Path

import pytest

from deploy import board
from deploy.backup import FOLDER, back_up, newest_backup, restore
from deploy.deployer import SSH_VARIABLE, Wish
from deploy.errors import BoxUnreachable, DeployError
from node.backup.collect import Wanted, take
from node.config_model import Config
from node.errors import BackupRefused
from node.restored import RestoredControls
from tests.deploy.known_box import reach_known_box
from tests.support.backed_up import NODE, make_cluster, make_state

OTHER = "raspberrypi"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A cluster's folder; no box of it can be reached."""
    nobody = tmp_path / "ssh"
    nobody.write_text("#!/bin/sh\nexit 255\n")
    nobody.chmod(0o700)
    monkeypatch.setenv(SSH_VARIABLE, str(nobody))
    config = make_cluster(tmp_path / "home")
    make_state(config)
    return config


def a_backup(config: Config, path: Path) -> Path:
    _, content = take(Wanted(config=config, node_id=NODE, taken_ms=1_800_000_000_000))
    path.write_bytes(content)
    return path


def test_every_box_that_gives_no_backup_is_named(config: Config) -> None:
    """One lost box must not keep the other one's backup from being made."""
    said: list[str] = []
    with pytest.raises(DeployError, match=r"0 of 2 boxes\njetson: no backup: (?s:.*)raspberrypi"):
        back_up(Wish(config=config), {}, said.append, with_secrets=False)
    folder = config.directory / FOLDER
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / ".gitignore").read_text() == "*\n"


def test_a_wrong_file_is_refused_before_a_box_is_asked(config: Config, tmp_path: Path) -> None:
    good = a_backup(config, tmp_path / "good.tar.gz")
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(good.read_bytes()[:-1])
    wish, said = Wish(config=config), list[str]()
    with pytest.raises(BackupRefused, match="damaged"):
        restore(NODE, wish, said.append, cut)
    with pytest.raises(BackupRefused, match=f"node {NODE}, this is {OTHER}"):
        restore(OTHER, wish, said.append, good)
    with pytest.raises(DeployError, match="No such file"):
        restore(NODE, wish, said.append, tmp_path / "nowhere")
    with pytest.raises(DeployError, match="runs no node"):
        restore("witness", wish, said.append, good)
    with pytest.raises(BoxUnreachable):
        restore(NODE, wish, said.append, good)


def test_nothing_is_put_back_under_a_node_that_runs(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It knows more than any backup."""
    box = reach_known_box(monkeypatch, config)
    with pytest.raises(DeployError, match="knows more than a backup"):
        restore(NODE, Wish(config=config), box.say, a_backup(config, tmp_path / "b.tar.gz"))
    assert not box.shell.ran


def test_without_a_file_it_says_that_it_deploys_and_where_a_backup_is(config: Config) -> None:
    (config.directory / FOLDER).mkdir()
    stem = f"hotspare-{config.cluster_id}-"
    for name in (
        f"{NODE}-20260101T000000Z",
        f"{NODE}-20270101T000000Z",
        f"{OTHER}-20280101T000000Z",
    ):
        (config.directory / FOLDER / f"{stem}{name}.tar.gz").write_bytes(b"")
    newest = newest_backup(config, NODE)
    assert newest is not None
    assert "20270101" in newest.name
    said: list[str] = []
    with pytest.raises(BoxUnreachable):
        restore(NODE, Wish(config=config), said.append, None)
    assert "this is deploying" in said[1]
    assert str(newest) in said[2]


def test_a_card_that_returns_is_no_first_start_and_a_living_one_is_left_alone(
    tmp_path: Path,
) -> None:
    """S6: with empty stores and init's marker it would begin unpaused otherwise."""
    script = Path(board.__file__).with_name("returning.sh")
    user = getpass.getuser()
    for _ in range(2):
        subprocess.run(["sh", str(script), str(tmp_path / "fresh"), user], check=True, timeout=60)
        assert [p.name for p in (tmp_path / "fresh").iterdir()] == ["control.restored"]
    restored = RestoredControls.found_in(tmp_path / "fresh")
    assert restored is not None
    assert restored.documents == {}
    (tmp_path / "lived").mkdir()
    (tmp_path / "lived/control").write_text("")
    subprocess.run(["sh", str(script), str(tmp_path / "lived"), user], check=True, timeout=60)
    assert [p.name for p in (tmp_path / "lived").iterdir()] == ["control"]

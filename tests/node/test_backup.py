"""nodectl backup and restore at a node's own folder: whole or not at all, and never over a life."""

import json
import os
import stat
import tarfile
import threading
from pathlib import Path

import pytest

from alerts.durable import DurableOutbox
from election.epoch_file import DiskEpochFile
from election.state_lock import StateClaim
from exchange.journal_file import JournalFile, parse_journal
from node.backup.collect import Wanted, take
from node.backup.members import LIVED_IN
from node.backup.note import read_note
from node.backup.pack import unpack
from node.config import load_config
from node.config_model import Config
from node.crash_file import read_book
from node.restored import RestoredControls
from node.secrets import load_secrets
from tests.support.backed_up import (
    API_SECRET,
    EPOCH,
    NODE,
    STRATEGY,
    make_cluster,
    make_state,
)
from tests.support.nodectl import run_nodectl

PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A node's folder after some trading."""
    config = make_cluster(tmp_path / "home")
    make_state(config)
    return config


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration of this machine, and none in the working folder."""
    for name in [n for n in os.environ if n.startswith("HOTSPARE")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def nodectl(config: Config, *words: object, stdin: bytes = b"") -> tuple[int, str]:
    return run_nodectl(*words, "-c", config.path, "-n", NODE, input=stdin)


def backed_up(config: Config, to: Path, *words: object, stdin: bytes = b"") -> Path:
    code, said = nodectl(config, "backup", "--to", to, *words, stdin=stdin)
    assert code == 0, said
    return next(to.glob("*.tar.gz")) if to.is_dir() else to


def fresh(tmp_path: Path) -> Config:
    """The same cluster on another card: deployed, never started."""
    return make_cluster(tmp_path / "fresh")


def test_a_backup_is_private_whole_and_holds_no_secret(config: Config, tmp_path: Path) -> None:
    to = tmp_path / "to"
    to.mkdir()
    path = backed_up(config, to)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in to.iterdir()] == [path.name]
    manifest, members = unpack(path.read_bytes())
    assert (manifest.node_id, manifest.cluster_id) == (NODE, config.cluster_id)
    assert manifest.epoch == EPOCH
    assert {"config/cluster.toml", f"config/{STRATEGY}", "state/journal"} <= members.keys()
    assert not [n for n in members if "promise" in n or "grant" in n or "new-cluster" in n]
    values = load_secrets(config, NODE, {}).all_values()
    assert values
    assert not [v for v in values for c in members.values() if v.encode() in c]


def test_a_fresh_card_gets_the_state_and_no_memory_of_a_promise(
    config: Config, tmp_path: Path
) -> None:
    path, card = backed_up(config, tmp_path / "b.tar.gz"), fresh(tmp_path)
    code, said = nodectl(card, "restore", path)
    assert code == 0, said
    assert "1 message(s) waited" in said
    state = card.node_state_dir(NODE)
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert DiskEpochFile(state / "epoch.json").load() == EPOCH
    assert JournalFile.open(state / "journal").documents == (
        JournalFile.open(config.node_state_dir(NODE) / "journal").documents
    )
    assert DurableOutbox(state / "outbox.jsonl").rows == ()
    assert read_book(state).latch is not None
    restored = RestoredControls.found_in(state)
    assert restored is not None
    assert set(restored.documents) == {"cluster", "pause"}
    for name in ("promise.json", "grant.json", "fence-note.json", "last-trading.json", "control"):
        assert not (state / name).exists()
    for name in LIVED_IN:
        if (state / name).exists():
            assert stat.S_IMODE((state / name).stat().st_mode) == 0o600


def test_a_restore_that_broke_off_is_run_again(config: Config, tmp_path: Path) -> None:
    path, card = backed_up(config, tmp_path / "b.tar.gz"), fresh(tmp_path)
    assert nodectl(card, "restore", path)[0] == 0
    state = card.node_state_dir(NODE)
    (state / "journal").unlink()
    (state / ".outbox.jsonl.new").write_text("half")
    assert nodectl(card, "restore", path)[0] == 0
    assert (state / "journal").exists()


@pytest.mark.parametrize(
    "name",
    [
        *("journal", "control", "control.restored", "outbox.jsonl", "crashes.json", "moves.json"),
        *("epoch.json", "promise.json"),
    ],
)
def test_nothing_is_put_over_a_directory_in_which_a_node_has_run(
    name: str, config: Config, tmp_path: Path
) -> None:
    """Also not over a promise, which the backup knows nothing about (R14)."""
    path, card = backed_up(config, tmp_path / "b.tar.gz"), fresh(tmp_path)
    state = card.node_state_dir(NODE)
    state.mkdir(parents=True)
    (state / name).write_text("another life\n")
    code, said = nodectl(card, "restore", path)
    assert code == 1
    assert name in said
    assert {p.name for p in state.iterdir()} == {name, "claim"}
    assert (state / name).read_text() == "another life\n"


def test_a_running_node_is_not_restored_over(config: Config, tmp_path: Path) -> None:
    path, card = backed_up(config, tmp_path / "b.tar.gz"), fresh(tmp_path)
    card.node_state_dir(NODE).mkdir(parents=True)
    with StateClaim(card.node_state_dir(NODE)):
        code, said = nodectl(card, "restore", path)
    assert code == 1
    assert "in use by process" in said


def test_a_disk_that_takes_nothing_is_not_called_a_lived_in_one(
    config: Config, tmp_path: Path
) -> None:
    path, card = backed_up(config, tmp_path / "b.tar.gz"), fresh(tmp_path)
    card.node_state_dir(NODE).mkdir(parents=True)
    (card.node_state_dir(NODE) / "claim").symlink_to("/dev/full")
    code, said = nodectl(card, "restore", path)
    assert code == 1
    assert "has free space" in said
    assert "first start" not in said


def test_another_node_and_another_cluster_are_refused(config: Config, tmp_path: Path) -> None:
    path = backed_up(config, tmp_path / "b.tar.gz")
    card = fresh(tmp_path)
    code, said = run_nodectl("restore", path, "-c", card.path, "-n", "raspberrypi")
    assert code == 1
    assert "node jetson, this is raspberrypi" in said
    code, said = run_nodectl("restore", path, "-c", card.path, "-n", NODE, "--profile", "dev")
    assert code == 1
    assert "this is dev-" in said
    code, said = run_nodectl("restore", path, "--check", "-c", card.path, "--profile", "dev")
    assert code == 1
    assert not card.node_state_dir(NODE).exists()


def test_check_changes_nothing_and_needs_no_configuration(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = backed_up(config, tmp_path / "b.tar.gz")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    code, said = run_nodectl("restore", path, "--check")
    assert code == 0, said
    assert "can be restored" in said
    assert list((tmp_path / "tmp").iterdir()) == []
    path.write_bytes(path.read_bytes()[:-9])
    code, said = run_nodectl("restore", path, "--check")
    assert code == 1
    assert "damaged" in said


def test_a_lost_laptop_gets_its_folder_back_with_secrets_by_passphrase(
    config: Config, tmp_path: Path
) -> None:
    words = ("--with-secrets", "--passphrase-fd", "0")
    path = backed_up(config, tmp_path / "b.tar.gz", *words, stdin=PASSPHRASE.encode() + b"\n")
    with tarfile.open(path) as archive:
        inside = [archive.extractfile(n).read() for n in archive.getnames()]  # type: ignore[union-attr]
    assert not [c for c in inside if API_SECRET.encode() in c or PASSPHRASE.encode() in c]

    into = tmp_path / "laptop"
    code, said = run_nodectl("restore", path, "--into", into, *words, input=b"another one, wrong\n")
    assert code == 1
    assert "do not open" in said
    assert not into.exists()
    code, said = run_nodectl("restore", path, "--into", into, *words, input=f"{PASSPHRASE}\n")
    assert code == 0, said
    again = load_config(into / "cluster.toml", profile="test", environ={})
    assert again.cluster_id == config.cluster_id
    assert load_secrets(again, NODE, {}).venue_key()[1] == API_SECRET
    assert (into / STRATEGY).read_text() == "# mine\n"
    assert stat.S_IMODE((into / "secrets" / f"{NODE}.toml").stat().st_mode) == 0o600
    assert not (into / "new-cluster").exists()
    code, said = run_nodectl("restore", path, "--into", into)
    assert code == 1
    assert "not empty" in said


def test_an_empty_folder_in_which_one_stands_is_made_the_clusters(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = backed_up(config, tmp_path / "b.tar.gz")
    into = tmp_path / "laptop"
    into.mkdir()
    monkeypatch.chdir(into)
    code, said = run_nodectl("restore", path, "--into", ".")
    assert code == 0, said
    assert (into / "cluster.toml").exists()


def test_a_short_passphrase_and_none_at_all_are_refused(config: Config, tmp_path: Path) -> None:
    to = tmp_path / "b.tar.gz"
    for words in (("--passphrase-fd", "0"), ()):
        code, _ = nodectl(config, "backup", "--to", to, "--with-secrets", *words, stdin=b"short\n")
        assert code == 1
        assert not to.exists()


def test_a_place_that_takes_nothing_leaves_nothing(config: Config, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, said = nodectl(config, "backup", "--to", tmp_path / "file" / "b.tar.gz")
    assert code == 1
    assert "--to" in said


def test_the_timers_backups_are_seven_and_their_outcome_is_noted(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to, state = tmp_path / "backups", config.node_state_dir(NODE)
    to.mkdir()
    (to / "mine.tar.gz").write_text("not ours")
    at_ms = 1_800_000_000_000
    for day in range(9):
        monkeypatch.setattr("node.cli.backup.wall_ms", lambda day=day: at_ms + day * 86_400_000)
        assert nodectl(config, "backup", "--to", to, "--scheduled")[0] == 0
    names = sorted(p.name for p in to.glob("hotspare-*"))
    assert len(names) == 7
    assert "20270123" in names[-1]
    assert (to / "mine.tar.gz").exists()
    note = read_note(state)
    assert note is not None
    assert (note.good_ms, note.problem) == (at_ms + 8 * 86_400_000, "")

    # what fails is told in three places: exit code, the journal at CRIT, the node's note
    code, said = nodectl(config, "backup", "--to", to / "nowhere" / "b.tar.gz", "--scheduled")
    assert code == 1
    assert "<2>hotspare: no backup of jetson" in said
    note = read_note(state)
    assert note is not None
    assert note.good_ms == at_ms + 8 * 86_400_000
    assert "nowhere" in note.problem


def test_a_damaged_journal_is_backed_up_as_far_as_it_goes_and_said(
    config: Config, tmp_path: Path
) -> None:
    journal = config.node_state_dir(NODE) / "journal"
    good = journal.read_bytes()
    journal.write_bytes(good.replace(b"hotspare_journal", b"hotspare_journul", 1))
    code, said = nodectl(config, "backup", "--to", tmp_path / "b.tar.gz", "--scheduled")
    assert code == 3
    assert "1 damaged line" in said
    manifest, members = unpack((tmp_path / "b.tar.gz").read_bytes())
    assert "1 damaged line" in manifest.remarks[0]
    kept = parse_journal(members["state/journal"], journal).documents
    assert kept == parse_journal(good, journal).documents
    note = read_note(journal.parent)
    assert note is not None
    assert "damaged" in note.problem


def test_decisions_come_along_when_asked_for(config: Config, tmp_path: Path) -> None:
    log = config.log_dir(NODE)
    log.mkdir(parents=True)
    lines = [{"event": "strategy.decided", "stream": "decisions"}, {"stream": "venue"}]
    (log / "node.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + "{torn")
    _, members = unpack(backed_up(config, tmp_path / "a.tar.gz").read_bytes())
    assert "log/decisions.jsonl" not in members
    path = backed_up(config, tmp_path / "b.tar.gz", "--with-decisions")
    _, members = unpack(path.read_bytes())
    assert members["log/decisions.jsonl"].decode() == json.dumps(lines[0]) + "\n"


def test_a_backup_beside_a_writing_node_is_always_one_state(config: Config) -> None:
    """The journal grows and is rewritten meanwhile: no damaged line, and no step of it missing."""
    state = config.node_state_dir(NODE)
    journal = JournalFile.open(state / "journal", bytes_max=4096)
    journal.replace_all({})
    is_over = threading.Event()
    epochs = DiskEpochFile(state / "epoch.json")

    def trade() -> None:
        step = 0
        while not is_over.is_set():
            step += 1
            # both in one change: never one without the other
            journal.append(puts={"a": str(step), "b": str(step), "c": "x" * 500})
            epochs.store(EPOCH + step)

    writer = threading.Thread(target=trade)
    writer.start()
    try:
        seen = []
        for _ in range(40):
            manifest, content = take(Wanted(config=config, node_id=NODE, taken_ms=1))
            assert manifest.remarks == ()
            _, members = unpack(content)
            found = parse_journal(members["state/journal"], state)
            assert found.damaged_lines == 0
            assert found.documents.get("a") == found.documents.get("b")
            seen.append(int(found.documents.get("a", "0")))
            assert manifest.epoch >= EPOCH + seen[-1] - 1
    finally:
        is_over.set()
        writer.join()
    assert seen == sorted(seen)
    assert seen[-1] > seen[0]

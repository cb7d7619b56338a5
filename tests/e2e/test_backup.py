"""A backup taken from a trading node, and cards that come back from it."""

import shutil
from pathlib import Path

import pytest

from election.address import StoreAddress
from election.model import NodeId, StoreName
from election.peek import merged_members
from election.redis_control import ControlBoard
from node.backup.pack import unpack
from node.latches import LAST_CRASH
from node.state_files import RESTORED_CONTROL_FILE
from tests.support.pair import JETSON, PI, Pair

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def state_of(pair: Pair, node_id: str) -> Path:
    return pair.stage.directory / "state" / node_id


def back_up(pair: Pair, node_id: str, name: str) -> Path:
    """Take a backup of a node as its owner would."""
    path = pair.stage.directory / f"{name}-{node_id}.tar.gz"
    done = pair.stage.nodectl("backup", "--node", node_id, "--to", str(path))
    assert done.returncode == 0, done.stderr
    return path


def lose_card(pair: Pair, node_id: str) -> None:
    """Lose everything but the log, which is ours: it tells what the node did."""
    for path in state_of(pair, node_id).iterdir():
        if path.name != "log":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def is_paused(pair: Pair, node_id: str) -> bool:
    return any("no control record" in str(r) for r in pair.member(node_id).get("reasons", ()))


def beat_of(pair: Pair, node_id: str) -> int:
    return merged_members(pair.stage.peek())[NodeId(node_id)].beat


def wait_another_look(pair: Pair, node_id: str) -> None:
    """Wait until the node has read the stores anew: it beats after each look."""
    before = beat_of(pair, node_id)
    pair.wait(lambda: beat_of(pair, node_id) > before + 1, "another look at the stores")


def restore(pair: Pair, node_id: str, path: Path) -> None:
    done = pair.stage.nodectl("restore", str(path), "--node", node_id)
    assert done.returncode == 0, done.stderr


def test_backup_while_it_trades_and_the_card_returns_as_spare(pair: Pair) -> None:
    """S1, S3: an old state beside a leader that went on; the epoch grows, nothing is doubled."""
    pair.open()
    pair.fill_some()
    path = back_up(pair, JETSON, "trading")
    for number in range(3):  # while orders move
        pair.fill_some()
        path = back_up(pair, JETSON, f"again-{number}")
    manifest, _ = unpack(path.read_bytes())
    assert manifest.remarks == ()
    assert manifest.epoch == pair.epochs(JETSON)[-1]
    refused = pair.stage.nodectl("restore", str(path), "--node", JETSON)
    assert refused.returncode == 1
    assert "in use by process" in refused.stderr

    since = pair.stage.role_changes(PI)
    pair.kill(JETSON)
    lose_card(pair, JETSON)
    pair.wait_active(PI, since=since)
    pair.fill_some()
    restore(pair, JETSON, path)
    pair.start(JETSON)
    pair.story.wait_spare(JETSON)
    # the living cluster proves that it may trade: the restored records are this disk's own now
    pair.wait(
        lambda: not (state_of(pair, JETSON) / RESTORED_CONTROL_FILE).exists(),
        "the restored control records to join the own",
    )
    since = pair.stage.role_changes(JETSON)
    moved = pair.stage.nodectl("switchover", "--to", JETSON)
    assert moved.returncode == 0, moved.stderr
    pair.wait_active(JETSON, since=since)
    pair.wait_order(JETSON)
    assert pair.epochs(JETSON)[-1] > manifest.epoch
    pair.judge()


def test_both_cards_and_all_stores_lost_stay_paused_until_a_person_resumes(pair: Pair) -> None:
    """S6: the backups do not know the pause that came after them, and must not lift it."""
    pair.open()
    pair.fill_some()
    files = {node_id: back_up(pair, node_id, "before") for node_id in (JETSON, PI)}
    paused = pair.stage.nodectl("pause", "--reason", "the owner looks")
    assert paused.returncode == 0, paused.stderr
    epoch = max(pair.epochs(JETSON) + pair.epochs(PI))
    for node_id in (JETSON, PI):
        pair.kill(node_id)
        lose_card(pair, node_id)
    for store in pair.stage.stores:
        store.kill()
    for store in pair.stage.stores:
        store.restart()
    since = len(pair.stage.requests())
    for node_id, path in files.items():
        restore(pair, node_id, path)
        pair.start(node_id)
    pair.wait(lambda: all(is_paused(pair, n) for n in (JETSON, PI)), "both to be paused")

    # a note of a crash says nothing about a pause, and must not end it
    board = ControlBoard(
        [
            StoreAddress(
                name=StoreName(s.name),
                host=s.host,
                port=s.port,
                password=pair.stage.store_password,
            )
            for s in pair.stage.stores
        ],
        pair.stage.cluster_id,
        1000,
    )
    assert board.put(LAST_CRASH, {"signature": "x"}, JETSON, 1, "x").is_majority
    board.close()
    for node_id in (JETSON, PI):
        wait_another_look(pair, node_id)
        assert is_paused(pair, node_id)
    assert max(pair.epochs(JETSON) + pair.epochs(PI)) == epoch
    sent = [r for r in pair.requests(since=since) if r["method"] == "POST"]
    assert sent == []

    resumed = pair.stage.nodectl("resume")
    assert resumed.returncode == 0, resumed.stderr
    holder = pair.wait(
        lambda: next((n for n in (JETSON, PI) if pair.is_active(n)), None), "somebody to trade"
    )
    pair.wait_order(holder)
    assert pair.epochs(holder)[-1] > epoch
    pair.wait(lambda: all("cluster" in kinds for kinds in pair.latches()), "the old records back")
    pair.judge()

"""Damaged, foreign, read-only and full state directories of one node, beside a healthy holder.

The node mends what can be mended and says so, or it is refused in words; afterwards it takes over
correctly, because the stores and the venue know what its disk forgot.
"""

import json
import os
import subprocess
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from election.grant_note import GrantNote
from election.model import Incarnation, StoreName
from election.state_lock import StateClaim
from node.demo.stores import ServerMissing, find_server
from node.release_hook import run_hook
from tests.support.bad_stage import JETSON, PI, Trial, added, mover_plan, running_trial
from tests.support.disks import fill
from tests.support.redis_servers import identity_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

MEND = 4


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    """Let the Jetson trade for the whole file; judge the whole run at the end."""
    try:
        find_server()
    except ServerMissing as error:
        pytest.skip(str(error))
    with running_trial(tmp_path_factory.mktemp("bad-state"), mover_plan()) as made:
        made.start_holder()
        # A first life of the spare, so that there is a state to damage.
        made.start(made.stage.nodes[PI])
        made.wait_spare(PI)
        made.wait(lambda: (state_of(made) / "control").stat().st_size > 0, "a control copy")
        made.stage.nodes[PI].stop()
        yield made
        made.judge()


@pytest.fixture(autouse=True)
def _no_other_node_stays(trial: Trial) -> Iterator[None]:
    yield
    trial.end_all_but(JETSON)


def state_of(trial: Trial, node_id: str = PI) -> Path:
    return trial.stage.directory / "state" / node_id


def spoil_middle(path: Path) -> None:
    """Flip bytes in the second line, as a worn card does."""
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) > 1, "there is something to damage"
    lines[1] = b"\xff\xfe" + lines[1][2:]
    path.write_bytes(b"".join([*lines, b"garbage\n", lines[-1]]))


# --- damaged -------------------------------------------------------------------------------------


def test_cut_tail_of_the_journal_is_normal(trial: Trial) -> None:
    with trial.holder_unharmed():
        node = trial.stage.nodes[PI]
        for name in ("journal", "control"):
            path = state_of(trial) / name
            path.write_bytes(path.read_bytes()[:-3])
        trial.start(node)
        trial.wait_spare(PI)
        assert not node.events("journal.corrupt")


@pytest.mark.parametrize("name", ["journal", "control"])
def test_damaged_journal_is_set_aside_and_told(trial: Trial, name: str) -> None:
    """What was readable is kept; a warning is logged and one message sent."""
    with trial.holder_unharmed():
        node = trial.stage.nodes[PI]
        told = len(node.events("alert.delivered"))
        spoil_middle(state_of(trial) / name)
        trial.start(node)
        trial.wait_spare(PI)
        assert list(state_of(trial).glob(f"{name}.damaged-*"))
        assert any(f"{name}.damaged" in e["reason"] for e in node.events("journal.corrupt"))
        trial.wait(
            lambda: any(e["kind"] == "degraded" for e in node.events("alert.delivered")[told:]),
            "a message about the damage",
        )
        assert not trial.nodectl("status").out.startswith("CANNOT TELL")


def test_journal_of_a_newer_release_is_refused(trial: Trial) -> None:
    """Nobody guesses at a newer release's journal; the message says what can be done."""
    with trial.holder_unharmed():
        path = state_of(trial) / "journal"
        kept = path.read_bytes()
        text = json.dumps({"hotspare_journal": 99}).encode()
        path.write_bytes(b"%08x " % zlib.crc32(text) + text + b"\n")
        said = trial.run_refused(trial.stage.nodes[PI])
        said.names(str(path), "newer release", "format 99", "move the file away")
        assert said.code == MEND
        path.write_bytes(kept)


def test_damaged_epoch_and_outbox_do_not_keep_a_node_out(trial: Trial) -> None:
    with trial.holder_unharmed():
        node = trial.stage.nodes[PI]
        (state_of(trial) / "epoch.json").write_bytes(b"\x00\xff epoch many\n")
        (state_of(trial) / "outbox.jsonl").write_bytes(b"\x00garbage\n{]\n")
        trial.start(node)
        trial.wait_spare(PI)
        trial.wait_event(node, "lease.anomaly", code="epoch_file")
        trial.wait_event(node, "alert.outbox_damaged")


def test_node_with_nothing_left_takes_over_correctly(trial: Trial) -> None:
    """S3, S4: journal, control copy and epoch are garbage; the stores and the venue know."""
    jetson, pi = trial.stage.nodes[JETSON], trial.stage.nodes[PI]
    for name in ("journal", "control", "epoch.json", "outbox.jsonl"):
        (state_of(trial) / name).write_bytes(os.urandom(3000))
    trial.start(pi)
    trial.wait_spare(PI)
    before = int(jetson.events("lease.granted")[-1]["lease_epoch"])
    jetson.kill()
    trial.stage.wait_role(PI, "active")
    granted = pi.events("lease.granted")[-1]
    assert granted["lease_epoch"] > before
    trial.wait_order(PI)
    seen = len(trial.roles(jetson))
    trial.start(jetson)
    trial.wait_spare(JETSON)
    trial.nodectl("switchover", "--to", JETSON)
    trial.wait(lambda: "active" in trial.roles(jetson)[seen:], "the Jetson to trade again")
    trial.wait_order(JETSON)


# --- a disk that does not take anything ----------------------------------------------------------


def with_state_on(folder: Path) -> dict[str, str]:
    return {"HOTSPARE__STATE_DIR": str(folder)}


def test_read_only_state_directory_is_refused(trial: Trial, mounted: Callable[..., Path]) -> None:
    with trial.holder_unharmed():
        node = trial.variant("read-only")
        folder = mounted(node.console.parent / "disk", "size=1m,ro")
        said = trial.run_refused(node, environ=with_state_on(folder))
        said.names(str(folder), "read-only", "→")
        assert said.code == MEND


def test_read_only_node_directory_is_refused(trial: Trial, mounted: Callable[..., Path]) -> None:
    """The disk became read-only after an earlier life."""
    with trial.holder_unharmed():
        node = trial.variant("became-read-only")
        folder = mounted(node.console.parent / "disk", "size=1m")
        (folder / PI).mkdir(mode=0o700)
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        said = trial.run_refused(node, environ=with_state_on(folder))
        said.names(str(folder), "read-only", "→")
        assert said.code == MEND


def test_the_hook_on_a_disk_that_became_read_only_asks_the_stores(
    tmp_path: Path, mounted: Callable[..., Path]
) -> None:
    """Under a leader; what the disk dropped last nobody knows, so the longest window is waited."""
    folder = mounted(tmp_path / "disk", "size=1m")
    note = GrantNote(
        folder,
        identity=identity_of("c", nonce="n1"),
        addresses=[],
        facts={"window_ms": 1500, "effect_tail_ms": 250},
    )
    note.held(7, {StoreName("x"): Incarnation("a:b")})
    assert note.wait_written(20)
    StateClaim(folder).close()
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    said: list[str] = []
    run_hook(folder, say=said.append)
    assert "(epoch 7" in said[0]
    assert "for 1750 ms" in said[1]
    assert "its disk is read-only" in said[1]


def test_full_state_directory_is_refused(trial: Trial, mounted: Callable[..., Path]) -> None:
    with trial.holder_unharmed():
        node = trial.variant("full")
        folder = mounted(node.console.parent / "disk", "size=1m")
        fill(folder)
        said = trial.run_refused(node, environ=with_state_on(folder))
        said.names(str(folder), "space", "→")
        assert said.code == MEND


def test_nearly_full_state_directory_makes_ineligible(
    trial: Trial, mounted: Callable[..., Path]
) -> None:
    with trial.holder_unharmed():
        node = trial.variant("small")
        folder = mounted(node.console.parent / "disk", "size=4m")
        node.start(environ=with_state_on(folder))
        trial.wait_reason(PI, "disk", "MB free", "below", node=node)
        trial.nodectl("status").names("disk", "MB free")


@pytest.mark.parametrize("stores", [3, 1])
def test_disk_full_under_a_holder(
    tmp_path: Path, mounted: Callable[..., Path], stores: int, trial: Trial
) -> None:
    """With three stores it trades on and says so; with one store nothing new is sent (S3)."""
    del trial  # its own stage; the fixture only ends what the others left
    health = added("[health]\nmin_disk_free_mb = 1")("")
    plan = mover_plan(stores=stores, extra_toml=health)
    with running_trial(tmp_path / "stage", plan) as own:
        node = own.stage.nodes[JETSON]
        folder = mounted(own.stage.directory / "state", "size=8m")
        (folder / JETSON).mkdir(mode=0o700)
        logs = own.stage.directory / "logs"
        logs.mkdir()
        (folder / JETSON / "log").symlink_to(logs)  # the log is what this test reads
        own.start_holder()
        ballast = fill(folder)
        own.wait_event(node, "journal.failed")
        own.wait_event(node, "alert.delivered", kind="degraded")
        before = len(own.stage.requests())
        if stores == 1:
            seen = len(node.events("strategy.decided"))
            own.wait(lambda: len(node.events("strategy.decided")) > seen + 2, "three decisions")
            assert not [r for r in own.requests(JETSON, since=before) if r["method"] == "POST"]
        else:
            own.wait_order(JETSON)
        ballast.unlink()
        own.wait_order(JETSON)
        assert own.roles(node)[-1] == "active"
        own.judge()

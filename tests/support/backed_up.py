"""A node's folder as it is after some trading, for tests of backups."""

import json
from pathlib import Path

from alerts.durable import DurableOutbox
from alerts.model import AlertEvent, Kind, Verdict
from election.control_record import ControlRecord, render_control
from election.epoch_file import DiskEpochFile
from election.model import NodeId
from election.promise import Promise, PromiseMemory, PromiseState
from election.promise_file import DiskPromiseFile
from exchange.journal import Journal
from exchange.journal_file import JournalFile
from node.config import load_config
from node.config_model import Config
from node.crash_file import write_book
from node.crashes import Crash, CrashBook, CrashLatch
from node.init import CONFIG_NAME, GivenSecrets, write_cluster
from node.init_answers import Answers
from node.state_files import (
    CONTROL_FILE,
    EPOCH_FILE,
    JOURNAL_FILE,
    OUTBOX_FILE,
    PROMISE_FILE,
)
from tests.support.journals import make_record

NODE = "jetson"
EPOCH = 7
API_SECRET = "api-secret-of-jetson-0123456789"
STRATEGY = "strategies/mine.py"


def make_cluster(folder: Path) -> Config:
    """Write a pair's folder with a strategy of its own; return its configuration."""
    answers = Answers.model_validate(
        {
            "topology": "two-boxes",
            "preferred_host": "192.168.1.11",
            "standby_host": "192.168.1.12",
            "profile": "test",
        }
    )
    write_cluster(folder, answers, GivenSecrets(api_keys={NODE: ("api-key-of-jetson", API_SECRET)}))
    (folder / "strategies").mkdir(exist_ok=True)
    (folder / STRATEGY).write_text("# mine\n", encoding="utf-8")
    path = folder / CONFIG_NAME
    text = path.read_text("utf-8").replace('use = "hold"', f'use = "{STRATEGY}"')
    assert STRATEGY in text
    path.write_text(text, encoding="utf-8")
    return load_config(path, environ={})


def make_state(config: Config) -> Path:
    """Fill the node's state directory as a living node would; return it."""
    state = config.node_state_dir(NODE)
    state.mkdir(parents=True)
    journal = JournalFile.open(state / JOURNAL_FILE)
    _, change = Journal().edit(
        epoch=EPOCH, intents=[make_record(epoch=EPOCH)], takeovers={EPOCH: {"a": 1}}
    )
    journal.append(puts=change.puts)
    journal.close()
    control = JournalFile.open(state / CONTROL_FILE)
    values: dict[str, dict[str, object]] = {
        "cluster": {"born_ms": 5, "account": "1001"},
        "pause": {"is_paused": False},
    }
    control.append(
        puts={
            kind: render_control(
                ControlRecord(kind=kind, version=3, value=value, by="ann", at_ms=5, reason="r")
            )
            for kind, value in values.items()
        }
    )
    control.close()
    DiskEpochFile(state / EPOCH_FILE).store(EPOCH)
    outbox = DurableOutbox(state / OUTBOX_FILE)
    outbox.put(event("waiting-1"))
    outbox.close()
    crash = Crash(
        nonce="n1", epoch=5, boot_id="b", at_boottime_s=1.0, at_wall_ms=5, how="it was killed"
    )
    assert write_book(
        state, CrashBook(crashes=(crash,), latch=CrashLatch(latch_id="l1", reason="too often"))
    )
    (state / "moves.json").write_text('{"v": 1}', encoding="utf-8")
    # what must never come back
    promise = Promise(
        promise_id="p1", by=NodeId(NODE), by_nonce="n", to=NodeId("pi"), to_nonce="m", epoch=6
    )
    DiskPromiseFile(state / PROMISE_FILE).store(
        PromiseMemory(state=PromiseState.STANDING, promise=promise)
    )
    for name in ("grant.json", "fence-note.json", "last-trading.json"):
        (state / name).write_text(json.dumps({"wall_ms": 5}), encoding="utf-8")
    return state


def event(event_id: str) -> AlertEvent:
    """Return an alert."""
    return AlertEvent(
        event_id=event_id,
        kind=Kind.DEGRADED,
        verdict=Verdict.LOOK,
        created_wall_ms=1_800_000_000_000,
        cluster="test-home",
        node_id=NODE,
        epoch=EPOCH,
    )

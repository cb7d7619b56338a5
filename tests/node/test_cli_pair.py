"""nodectl at real lease stores with a pair of puppets: decisions and their visible effect."""

import json
import threading
import time

import pytest

from election.connections import StoreConnection
from election.control_record import ControlRecord
from election.redis_control import ControlBoard
from election.redis_reply import keys_of
from exchange.journal import Journal
from node.cli import clear_crashes as clear_module
from node.cli import decide as decide_module
from node.demo.stores import StoreServer
from node.latches import CLEAR_CRASHES
from tests.support.nodectl import nodectl, run_nodectl
from tests.support.puppet_pair import (
    TIMEOUT_MS,
    Puppets,
    wait_until,
)


def test_status_of_a_running_pair(pair: Puppets) -> None:
    """Leader, spare, exit code 0; one store less changes nothing, one node sick does."""
    code, text = nodectl(pair, "status")
    assert code == 0, text
    assert "not paused, spare: raspberrypi" in text.splitlines()[0]
    found = json.loads(nodectl(pair, "status", "--json")[1])
    assert (found["holder"], found["epoch"], found["verdict"]) == ("jetson", 1, "trading")
    pair.reasons["raspberrypi"] = ["venue: no answer"]
    wait_until(lambda: nodectl(pair, "status")[0] == 1)
    assert "NO SPARE" in nodectl(pair, "status")[1].splitlines()[0]


def test_status_with_stores_down(pair: Puppets, servers: list[StoreServer]) -> None:
    """One of three down: 0; two down: 3, and what could not be seen is said."""
    servers[2].kill()
    wait_until(lambda: nodectl(pair, "status")[0] == 0)
    assert "not seen: store three" in nodectl(pair, "status")[1]
    servers[1].kill()
    code, text = nodectl(pair, "status")
    assert code == 3
    assert "1 of 3 stores" in text.splitlines()[0]
    for server in servers[1:]:
        server.restart()


def test_pause_and_resume_wait_until_every_node_shows_it(pair: Puppets) -> None:
    """Exit 0 only when it is seen; the reason and the person are on record."""
    code, text = nodectl(pair, "pause", "--reason", "new router")
    assert code == 0, text
    assert "seen by jetson, raspberrypi" in text
    code, text = nodectl(pair, "status")
    assert code == 2
    assert text.startswith("PAUSED: jetson leads")
    assert "new router" in text
    code, text = nodectl(pair, "resume")
    assert code == 0, text
    wait_until(lambda: nodectl(pair, "status")[0] == 0)


def test_a_pause_of_a_cluster_that_nobody_knows_is_not_taken_for_one(pair: Puppets) -> None:
    """A typo in the name pauses nothing, while the real cluster trades on in the same stores."""
    assert pair.config.path is not None
    path = pair.config.path.with_name("typo.toml")
    path.write_text(pair.config.path.read_text().replace('"puppets"', '"pupets"'))
    code, text = run_nodectl("pause", "-c", path)
    assert (code, "knew nothing of a cluster dev-pupets" in text) == (0, True), text
    assert nodectl(pair, "status")[0] == 0
    assert "knew nothing" not in nodectl(pair, "pause")[1]


def test_a_pause_outranks_what_a_disk_remembers_when_the_stores_began_empty(
    pair: Puppets,
) -> None:
    """S6: a node that remembers an older resume of a higher version does not lift a new pause."""
    board = ControlBoard(pair.addresses, pair.config.cluster_id, TIMEOUT_MS)
    assert nodectl(pair, "pause")[0] == 0
    remembered = ControlRecord(
        kind="pause",
        version=41,  # of a cluster that was paused and resumed twenty times
        value={"is_paused": False},
        by="alice",
        at_ms=1,
        reason="before the stores lost everything",
    )
    assert board.push((remembered,)).is_majority
    kept = board.read().records["pause"]
    board.close()
    assert dict(kept.value) == {"is_paused": True}


def test_a_pause_that_nobody_shows_is_said(pair: Puppets, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written but not seen in time is its own exit code (3), naming the node."""
    monkeypatch.setattr(decide_module, "EFFECT_S", 1.0)
    pair.is_deaf = True
    code, text = nodectl(pair, "pause")
    assert code == 3
    assert "jetson, raspberrypi did not show it" in text


def test_resume_lifts_the_loss_limit_and_accepts_a_strategy(pair: Puppets) -> None:
    """Latches are lifted by a person: all that `resume` promises, and nothing else."""
    board = ControlBoard(pair.addresses, pair.config.cluster_id, TIMEOUT_MS)
    board.put("loss_limit", {"is_latched": True, "day": "2026-11-22"}, "jetson", 1, "lost 21")
    assert "daily loss limit" in nodectl(pair, "status")[1]
    code, text = nodectl(pair, "resume", "--accept-strategy")
    assert code == 0, text
    assert "daily loss limit lifted" in text
    records = board.read().records
    board.close()
    assert dict(records["loss_limit"].value) == {"is_latched": False, "day": "2026-11-22"}
    assert dict(records["accept"].value) == {"fingerprint": "abcdef"}
    assert dict(records["pause"].value) == {"is_paused": False}


def test_accepting_needs_one_fingerprint(pair: Puppets) -> None:
    """Two nodes with different strategies: which one would be accepted?"""
    pair.bodies["raspberrypi"] = {"fingerprint": "other"}
    wait_until(lambda: "differ in strategy" in nodectl(pair, "status")[1])
    code, text = nodectl(pair, "resume", "--accept-strategy")
    assert code == 1
    assert "2 fingerprints" in text


def test_what_one_node_runs_is_accepted_before_it_leads(pair: Puppets) -> None:
    """A deployment changes one node after the other; a pause that a person set stays."""
    code, text = nodectl(pair, "strategy", "accept", "raspberrypi")
    assert (code, "nothing to accept" in text) == (0, True), text
    assert nodectl(pair, "pause")[0] == 0
    pair.bodies["raspberrypi"] = {"fingerprint": "other"}
    wait_until(lambda: "differ in strategy" in nodectl(pair, "status")[1])
    code, text = nodectl(pair, "strategy", "accept", "raspberrypi")
    assert (code, "accepted other" in text) == (0, True), text
    board = ControlBoard(pair.addresses, pair.config.cluster_id, TIMEOUT_MS)
    records = board.read().records
    board.close()
    assert dict(records["accept"].value) == {"fingerprint": "other"}
    assert dict(records["pause"].value) == {"is_paused": True}
    assert "nothing to accept" in nodectl(pair, "strategy", "accept", "raspberrypi")[1]
    code, text = nodectl(pair, "strategy", "accept", "nobody")
    assert (code, "not heard" in text) == (1, True), text


def test_clearing_crashes_needs_a_node_that_waits(pair: Puppets) -> None:
    """Nobody waits: exit 1, and nothing is written."""
    code, text = nodectl(pair, "clear-crashes")
    assert code == 1
    assert "nodes that crashed too often: none" in text
    board = ControlBoard(pair.addresses, pair.config.cluster_id, TIMEOUT_MS)
    assert CLEAR_CRASHES not in board.read().records
    board.close()


def test_clearing_crashes_names_the_latch_and_waits_for_it(
    pair: Puppets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the latch's id, so that an older word lifts no later latch; 3 until the node shows it."""
    pair.bodies["raspberrypi"] = {"crash_latch_id": "abc123"}
    wait_until(lambda: nodectl(pair, "status", "--json")[0] == 0)
    monkeypatch.setattr(clear_module, "EFFECT_S", 0.5)
    wait_until(lambda: nodectl(pair, "clear-crashes")[0] == 3)
    board = ControlBoard(pair.addresses, pair.config.cluster_id, TIMEOUT_MS)
    record = board.read().records[CLEAR_CRASHES]
    board.close()
    assert dict(record.value) == {"latch_id": "abc123", "node_id": "raspberrypi"}
    monkeypatch.setattr(clear_module, "EFFECT_S", 30.0)
    obedient = threading.Timer(1.0, pair.bodies.clear)
    obedient.start()
    code, text = nodectl(pair, "clear-crashes", "--reason", "power supply")
    obedient.join()
    assert code == 0, text
    assert "crashes of raspberrypi cleared" in text


def test_switchover_waits_until_the_other_node_trades(pair: Puppets) -> None:
    """To the spare by default; back by name; to the leader itself is nothing to do."""
    code, text = nodectl(pair, "switchover")
    assert code == 0, text
    assert "raspberrypi leads and trades" in text
    wait_until(lambda: nodectl(pair, "status")[0] == 0)
    assert "raspberrypi leads" in nodectl(pair, "status")[1].splitlines()[0]
    assert nodectl(pair, "switchover", "--to", "jetson")[0] == 0
    code, text = nodectl(pair, "switchover", "--to", "jetson")
    assert (code, "leads already" in text) == (0, True)


def test_switchover_to_a_sick_or_unknown_node_is_refused(pair: Puppets) -> None:
    """Refused before anything is written, with the reason."""
    pair.reasons["raspberrypi"] = ["temperature: 91 °C"]
    wait_until(lambda: nodectl(pair, "status")[0] == 1)
    code, text = nodectl(pair, "switchover")
    assert code == 1
    assert "91 °C" in text
    assert nodectl(pair, "switchover", "--to", "nobody")[0] == 1
    assert nodectl(pair, "history") == (0, "no takeover is on record\n")


def test_history_lists_takeovers_newest_first(pair: Puppets) -> None:
    """What the stores keep about takeovers, for people and for programs."""
    _write_takeovers(pair, count=3)
    code, text = nodectl(pair, "history", "--last", "2")
    assert code == 0
    assert [line.split("epoch ")[1][0] for line in text.splitlines()] == ["3", "2"]
    assert "gap 6.3 s" in text
    found = json.loads(nodectl(pair, "history", "--json")[1])
    assert [entry["epoch"] for entry in found] == [3, 2, 1]
    assert found[0]["node_id"] == "jetson"


def _write_takeovers(pair: Puppets, *, count: int) -> None:
    """Put takeover documents into the stores as a holder would."""
    body = {"node_id": "jetson", "at_wall_ms": 1_795_348_800_000, "gap_s": 6.31, "reason": "drill"}
    journal = Journal()
    for epoch in range(1, count + 1):
        journal, _ = journal.edit(epoch=epoch, takeovers={epoch: body})
    for address in pair.addresses:
        connection = StoreConnection(address)
        for key, text in journal.documents().items():
            ledger = keys_of(pair.config.cluster_id).ledger
            connection.call("HSET", ledger, key, text, deadline_s=time.monotonic() + 30)
        connection.close()

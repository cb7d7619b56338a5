"""Keys, passwords and stores that do not fit, beside a healthy holder.

The node that was set up wrongly stays up, is not eligible, and says why: on the member board, in
`nodectl status`, in its log and in one message. It is fit after it was mended. Nobody fights.
"""

import json
import re
from collections.abc import Iterator

import pytest

from node.demo.node_process import NodeProcess
from node.demo.stores import ServerMissing, StoreServer, find_server
from tests.support.bad_stage import (
    JETSON,
    PI,
    Trial,
    changed,
    mover_plan,
    running_trial,
    write_private,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

TRADING_ALONE, CANNOT_TELL = 1, 3


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    """Let the Jetson trade for the whole file; judge the whole run at the end."""
    try:
        find_server()
    except ServerMissing as error:
        pytest.skip(str(error))
    with running_trial(tmp_path_factory.mktemp("bad-access"), mover_plan()) as made:
        made.start_holder()
        yield made
        made.judge()


@pytest.fixture(autouse=True)
def _no_other_node_stays(trial: Trial) -> Iterator[None]:
    yield
    trial.end_all_but(JETSON)


# --- the exchange's key --------------------------------------------------------------------------

BAD_KEYS = {
    "-2014": (r'api_key = ".*"', 'api_key = "abcd!"', ("format", "mistyped")),
    "-2015": (r'api_key = ".*"', f'api_key = "{"deadbeef" * 4}"', ("API key", "rights")),
    "-1022": (r'api_secret = ".*"', f'api_secret = "{"0badcafe" * 4}"', ("secret", "belong")),
}


@pytest.mark.parametrize("code", BAD_KEYS)
def test_refused_key_keeps_a_node_out(trial: Trial, code: str) -> None:
    """S5: the venue's code in words: on the board, in the status, in the log."""
    with trial.holder_unharmed():
        node = with_bad_key(trial, code)
        status = trial.nodectl("status")
        status.names(PI, code)
        assert status.code == TRADING_ALONE
        assert code in trial.wait_event(node, "venue.refused")["reason"]
        assert node.stop() == 0
        assert not node.events("lease.granted")


def test_refused_key_is_told_and_mended(trial: Trial) -> None:
    """One message says why the node cannot take over; with the right key it is fit."""
    with trial.holder_unharmed():
        node = with_bad_key(trial, "-1022", folder="told")
        trial.wait_event(node, "alert.delivered", kind="degraded")
        assert "cannot take over" in node.console.read_text()
        node.stop()
        right = trial.stage.directory / "secrets" / f"{PI}.toml"
        write_private(node.console.parent / "secrets" / f"{PI}.toml", right.read_text())
        trial.start(node)
        trial.wait_spare(PI)


def with_bad_key(trial: Trial, code: str, *, folder: str = "key") -> NodeProcess:
    """Start a node whose key the venue refuses, and wait until it says so."""
    pattern, wrong, words = BAD_KEYS[code]
    node = trial.variant(f"{folder}{code}", secrets=lambda t: re.sub(pattern, wrong, t))
    trial.start(node)
    trial.wait_reason(PI, "venue", code, *words, node=node)
    return node


# --- stores --------------------------------------------------------------------------------------


def stays_out(trial: Trial, node: NodeProcess, *words: str) -> None:
    """Check that a node that sees no store says why, tells it, and holds nothing."""
    trial.start(node)
    for store in trial.stage.stores:
        lost = trial.wait_event(node, "store.lost", store=store.name)
        assert all(w in lost["reason"] for w in words), lost
    trial.wait_event(node, "alert.delivered", kind="store_lost")
    status = trial.nodectl("status", folder=node.console.parent)
    status.names("CANNOT TELL", *words)
    assert status.code == CANNOT_TELL
    said = trial.nodectl("status", "--json", folder=node.console.parent)
    assert json.loads(said.out)["exit_code"] == said.code == CANNOT_TELL
    for verb in (("pause",), ("resume",), ("switchover", "--to", PI)):
        asked = trial.nodectl(*verb, folder=node.console.parent)
        asked.names("store")
        assert asked.code == 1
    assert node.stop() == 0
    assert not node.events("lease.granted")


def test_no_store_reachable_at_the_start(trial: Trial) -> None:
    with trial.holder_unharmed():
        node = trial.variant("no-store", config=lambda t: re.sub(r"port = \d+", "port = 1", t))
        # Three stores at one address are refused, so they are three closed ports.
        text = (node.console.parent / "cluster.toml").read_text()
        for port in (1, 2, 3):
            text = text.replace("port = 1\n", f"port = 1{port}\n", 1)
        (node.console.parent / "cluster.toml").write_text(text)
        stays_out(trial, node, "nothing listens", "check host and port")


def test_wrong_store_password(trial: Trial) -> None:
    with trial.holder_unharmed():
        wrong = changed(trial.stage.store_password, "not-the-password")
        node = trial.variant("store-password", secrets=wrong)
        stays_out(trial, node, "password", "compare the store's secret")


def test_record_of_another_cluster_under_our_key(trial: Trial) -> None:
    """R3: a record that is not ours is never written to; two of three stores are enough."""
    witness = trial.redis(2)
    with trial.holder_unharmed():
        trial.start(trial.stage.nodes[PI])
        trial.wait_spare(PI)
        witness.hset(trial.key("lease"), "cluster_id", "prod-other")
        for node_id in (JETSON, PI):
            lost = trial.wait_event(trial.stage.nodes[node_id], "store.lost", store="witness")
            assert "prod-other" in lost["reason"], lost
        trial.wait_event(trial.stage.nodes[JETSON], "alert.delivered", kind="store_lost")
        trial.nodectl("status").names("witness", "prod-other")
        assert witness.hget(trial.key("lease"), "cluster_id") == "prod-other"
        witness.delete(trial.key("lease"))
        trial.wait_event(trial.stage.nodes[JETSON], "store.back", store="witness")
        assert trial.stage.nodes[PI].stop() == 0


def test_store_that_became_a_replica(trial: Trial) -> None:
    """R2: a replica must not keep the lease; it counts again as another life of the store."""
    node = trial.stage.nodes[JETSON]
    witness = trial.redis(2)
    before = len(node.events("store.back"))
    with trial.holder_unharmed():
        witness.execute_command("REPLICAOF", "127.0.0.1", "1")
        trial.wait(
            lambda: any("replica" in e["reason"] for e in node.events("store.lost")),
            "the replica to be refused",
        )
        trial.nodectl("status").names("witness", "replica")
        witness.execute_command("REPLICAOF", "NO", "ONE")
        trial.wait(lambda: len(node.events("store.back")) > before, "the store to be back")


def test_another_store_list_on_the_standby(trial: Trial) -> None:
    """R3: two nodes with different store lists do not contend, also when the holder is gone."""
    jetson = trial.stage.nodes[JETSON]
    program = find_server()
    password = trial.stage.store_password
    with StoreServer("other", program=program, password=password) as other:
        other.start()
        port = trial.stage.stores[2].port
        with trial.holder_unharmed():
            edit = changed(f"port = {port}\n", f"port = {other.port}\n")
            node = trial.variant("store-list", config=edit)
            trial.start(node)
            trial.wait_reason(PI, "another store list", "make both equal", node=node)
            trial.nodectl("status").names("another store list", "make them equal")
        seen = len(trial.roles(jetson))
        jetson.kill()
        trial.wait_event(node, "trading.nobody")
        trial.wait_event(node, "alert.delivered", kind="nobody_trades")
        assert not node.events("lease.granted")
        assert "config id" in node.events("trading.nobody")[-1]["reason"]
        assert "make cluster.toml equal" in node.console.read_text()
        assert node.stop() == 0
    trial.start(jetson)
    trial.wait(lambda: "active" in trial.roles(jetson)[seen:], "the Jetson to trade again")
    trial.wait_order(JETSON)

"""Garbage under the cluster's keys while the pair runs: reported, survived, and no second trader.

Somebody else's program writes into the stores. A store whose lease record is spoiled does not
count; spoiled documents are left out with a word, because two other stores, the disks and the
venue know better.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from node.demo.stores import ServerMissing, find_server
from tests.support.bad_stage import JETSON, PI, Trial, mover_plan, running_trial

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

WITNESS = 2
TRADING = 0
NAMES = ("lease", "ledger", "control", "members")


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    """Let the Jetson trade and the Pi be its spare; judge the whole run at the end."""
    try:
        find_server()
    except ServerMissing as error:
        pytest.skip(str(error))
    with running_trial(tmp_path_factory.mktemp("bad-redis"), mover_plan()) as made:
        made.start_holder()
        made.start(made.stage.nodes[PI])
        made.wait_spare(PI)
        yield made
        made.judge()


def status_is_usable(trial: Trial) -> str:
    """Check that people and programs still get a status; return what people get."""
    said = trial.nodectl("status", "--json")
    assert json.loads(said.out)["exit_code"] == said.code
    shown = trial.nodectl("status")
    assert shown.out.startswith("jetson leads")
    return " ".join(shown.out.split())


def wait_fit_pair(trial: Trial) -> None:
    """Wait until the pair trades with a spare and three stores name the holder."""
    trial.wait_spare(PI)

    def is_whole() -> bool:
        shown = json.loads(trial.nodectl("status", "--json").out)
        return bool(
            shown["exit_code"] == TRADING and all(s["names"] == JETSON for s in shown["stores"])
        )

    trial.wait(is_whole, "a whole pair")


@pytest.mark.parametrize("name", NAMES)
def test_key_of_another_type_in_one_store(trial: Trial, name: str) -> None:
    """The store says what is wrong with it; it counts again once the key is gone."""
    store, key = trial.redis(WITNESS), trial.key(name)
    with trial.holder_unharmed():
        with store.pipeline(transaction=True) as both:  # the nodes write to it all the time
            both.delete(key)
            both.set(key, "somebody else's")
            both.execute()
        trial.wait(
            lambda: all(w in status_is_usable(trial) for w in (f"{name}:", "delete it by hand")),
            "the status to say it",
        )
        if name == "lease":
            for node_id in (JETSON, PI):
                trial.wait_event(trial.stage.nodes[node_id], "store.lost", store="witness")
            assert store.get(key) == "somebody else's"
        store.delete(key)
        wait_fit_pair(trial)


def garbage(store: Any, key: Callable[[str], str]) -> None:
    """Spoil documents, latches and members in every way that JSON text can be spoiled."""
    for field, text in (
        ("position:BTC/USDT", "{cut"),
        ("state:BTC/USDT", "[]"),
        ("intent:not-an-id", '{"v":1,"epoch":"x","seq":null,"body":7}'),
        ("takeover:9", "\x00\x01"),
        ("takeover:1", '{"v":99}'),
        ("who:knows", "{}"),
    ):
        store.hset(key("ledger"), field, text)
    for field, text in (("pause", "{cut"), ("cluster", "7"), ("riddle", "{}")):
        store.hset(key("control"), field, text)
    for field, text in ((JETSON, "{cut"), ("ghost", "null"), (PI, '{"nonce":1}')):
        store.hset(key("members"), field, text)


def test_garbage_fields_in_one_store(trial: Trial) -> None:
    with trial.holder_unharmed():
        garbage(trial.redis(WITNESS), trial.key)
        status_is_usable(trial)
        trial.wait_event(trial.stage.nodes[PI], "journal.corrupt")
        trial.wait_event(trial.stage.nodes[JETSON], "latch.unreadable")
        for name in NAMES[1:]:
            trial.redis(WITNESS).delete(trial.key(name))
        wait_fit_pair(trial)


def test_garbage_fields_in_every_store_and_a_takeover(trial: Trial) -> None:
    """S3, S4: the new holder knows the journal from its own disk, and reconciles."""
    for place in range(len(trial.stage.stores)):
        store = trial.redis(place)
        for field, text in (("position:BTC/USDT", "{cut"), ("intent:not-an-id", "{}")):
            store.hset(trial.key("ledger"), field, text)
        store.hset(trial.key("members"), "ghost", "{cut")
    jetson, pi = trial.stage.nodes[JETSON], trial.stage.nodes[PI]
    trial.wait_event(pi, "journal.corrupt", key="intent:not-an-id")
    jetson.kill()
    trial.stage.wait_role(PI, "active")
    trial.wait_order(PI)
    assert trial.requests(JETSON)
    seen = len(trial.roles(jetson))
    trial.start(jetson)
    trial.wait_spare(JETSON)
    assert trial.nodectl("switchover", "--to", JETSON).code == 0
    trial.wait(lambda: "active" in trial.roles(jetson)[seen:], "the Jetson to trade again")

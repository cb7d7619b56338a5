"""Bad configuration, secrets, strategies and commands beside a healthy holder.

Each is refused in words (what, where, how to mend it) with a documented exit code; no secret shows
anywhere, and the other node trades on.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.demo.stores import ServerMissing, find_server
from tests.support.bad_stage import JETSON, PI, Trial, changed, mover_plan, running_trial

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

REFUSED = 1
MEND = 4
USAGE = 64


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    """Let the Jetson trade for the whole file; judge the whole run at the end."""
    try:
        find_server()
    except ServerMissing as error:
        pytest.skip(str(error))
    with running_trial(tmp_path_factory.mktemp("bad-config"), mover_plan()) as made:
        made.start_holder()
        yield made
        made.judge()


@pytest.fixture(autouse=True)
def _no_other_node_stays(trial: Trial) -> Iterator[None]:
    yield
    trial.end_all_but(JETSON)


def label(request: pytest.FixtureRequest) -> str:
    return "".join(c if c.isalnum() else "-" for c in request.node.name)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """Return a folder name of this test's own."""
    return label(request)


# --- configuration -------------------------------------------------------------------------------

BAD_CONFIGS = {
    "unknown key": (
        lambda t: t.replace("ttl_ms", "tll_ms"),
        ("cluster.toml", "lease.tll_ms", "ttl_ms"),
    ),
    "bad TOML": (lambda t: t + "\n[lease\n", ("cluster.toml", "line")),
    "two problems at once": (
        lambda t: t.replace("cycle_ms", "cycel_ms").replace("index = 1", "index = 0"),
        ("2 problems", "venue.cycel_ms", "index"),
    ),
    "timing sums": (
        lambda t: t.replace("renew_ms = 500", "renew_ms = 1500"),
        ("renew", "guard", "ttl", "1500"),
    ),
    "unknown profile": (changed('profile = "dev"', 'profile = "live"'), ("profile", "prod")),
    "no such exchange": (
        lambda t: t.replace("[venue]", '[venue]\nexchange = "mtgox"'),
        ("mtgox", "binance"),
    ),
    "prod on a paper exchange": (
        changed('profile = "dev"', 'profile = "prod"'),
        ("prod", "base_url"),
    ),
}


@pytest.mark.parametrize("case", BAD_CONFIGS)
def test_bad_configuration_starts_nothing(trial: Trial, name: str, case: str) -> None:
    """Every problem at once, with file, key and remedy; `run` and `config check` agree."""
    edit, words = BAD_CONFIGS[case]
    with trial.holder_unharmed():
        node = trial.variant(name, config=edit)
        said = trial.run_refused(node)
        said.names("nothing was started", *words)
        assert said.code == MEND
        checked = trial.nodectl("config", "check", folder=node.console.parent)
        checked.names(*words)
        assert checked.code == MEND
        assert not node.log_path.exists()


def test_missing_configuration_is_named(trial: Trial, tmp_path: Path) -> None:
    for verb in ("run", "status", "pause"):
        said = trial.nodectl(verb, folder=tmp_path)
        said.names("cluster.toml", "nodectl init")
        assert said.code == MEND


# --- secrets -------------------------------------------------------------------------------------


def test_missing_secrets_file_is_refused(trial: Trial, name: str) -> None:
    node = trial.variant(name)
    (node.console.parent / "secrets" / f"{PI}.toml").unlink()
    said = trial.run_refused(node)
    said.names("API key", f"secrets/{PI}.toml", "api_secret")
    assert said.code == MEND


def test_secrets_without_an_api_key_are_refused(trial: Trial, name: str) -> None:
    node = trial.variant(name, secrets=lambda t: t[t.index("[stores") :])
    said = trial.run_refused(node)
    said.names("API key is missing", f"secrets/{PI}.toml")
    assert said.code == MEND


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_secrets_that_others_can_read_are_refused(trial: Trial, name: str, mode: int) -> None:
    """Also by every verb that logs in to the stores."""
    node = trial.variant(name)
    path = node.console.parent / "secrets" / f"{PI}.toml"
    path.chmod(mode)
    for said in (trial.run_refused(node), trial.nodectl("status", folder=node.console.parent)):
        said.names("others can read", f"chmod 600 {path}", f"{mode:04o}")
        assert said.code == MEND


def test_garbage_secrets_are_refused_without_a_quote(trial: Trial, name: str) -> None:
    """The line with the mistake may be the secret itself."""
    node = trial.variant(name, secrets=changed('api_key = "', "api_key = "))
    said = trial.run_refused(node)
    said.names(f"{PI}.toml", "not TOML", "name =")
    assert said.code == MEND
    trial.assert_no_secret()


# --- strategies ----------------------------------------------------------------------------------

BAD_STRATEGIES = {
    "missing": (None, ("mover.py", "no")),
    "syntax error": ("def decide(market, portfolio, state:\n    pass\n", ("mover.py:1",)),
    "impure": (
        "import time\n{mover}\n\ndef later():\n    return time.time()\n",
        ("mover.py:1", "time"),
    ),
    "no declaration": ("def decide(market, portfolio, state):\n    return None\n", ("STRATEGY",)),
}


@pytest.mark.parametrize("case", BAD_STRATEGIES)
def test_bad_strategy_is_refused_with_its_line(trial: Trial, name: str, case: str) -> None:
    """`run` and `strategy check` say the same: file, line, what, what to use instead."""
    text, words = BAD_STRATEGIES[case]
    with trial.holder_unharmed():
        node = trial.variant(name)
        file = node.console.parent / "mover.py"
        if text is None:
            file.unlink()
        else:
            file.write_text(text.replace("{mover}", file.read_text()))
        said = trial.run_refused(node)
        said.names(*words)
        assert said.code == MEND
        checked = trial.nodectl("strategy", "check", "mover.py", folder=node.console.parent)
        checked.names(*words)
        assert checked.code == 1


# --- one process a node --------------------------------------------------------------------------


def test_second_process_on_the_same_state_directory_is_refused(trial: Trial) -> None:
    """R1: the directory is claimed; the first process does not notice."""
    with trial.holder_unharmed():
        first = trial.stage.nodes[JETSON]
        said = trial.nodectl("run", "--node", JETSON)
        said.names("state", JETSON, "in use by process", str(first.pid), "stop it")
        assert said.code == MEND


def test_second_process_with_the_same_node_id_is_refused(trial: Trial, name: str) -> None:
    """R1: a copied SD card has its own state directory, but the board shows a living twin."""
    with trial.holder_unharmed():
        twin = trial.variant(name, node_id=JETSON)
        said = trial.run_refused(twin)
        said.names("node id", JETSON, "SD card", "own id")
        assert said.code == 1
        assert twin.events("member.duplicate")
        assert not twin.events("lease.granted")


# --- commands ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("fly",),
        ("status", "--fast"),
        ("strategy",),
        ("strategy", "burn"),
        ("telegram", "test", "--wait", "soon"),
        ("config", "check", "too", "many"),
        ("resume", "--reason"),
    ],
    ids=" ".join,
)
def test_wrong_usage_has_its_own_exit_code(trial: Trial, arguments: tuple[str, ...]) -> None:
    """64, so that it never reads as a verdict about the pair."""
    said = trial.nodectl(*arguments)
    assert any(word in said.text for word in ("Usage", "requires an argument")), said.text
    assert said.code == USAGE


def test_unknown_node_is_refused_with_the_known_ones(trial: Trial) -> None:
    # Never 1 from `status`: there it means trading without a spare.
    for verb, code in (("run", REFUSED), ("status", USAGE)):
        said = trial.nodectl(verb, "--node", "nano")
        said.names("nano", JETSON, PI)
        assert said.code == code
    said = trial.nodectl("switchover", "--to", "nano")
    said.names("nano", JETSON, PI)
    assert said.code == 1


def test_switchover_to_a_node_that_is_gone_is_refused(trial: Trial) -> None:
    with trial.holder_unharmed():
        said = trial.nodectl("switchover", "--to", PI)
        said.names(PI)
        assert said.code == 1


def test_configuration_is_shown_without_secrets(trial: Trial) -> None:
    said = trial.nodectl("config", "show", "--node", PI)
    assert said.code == 0
    shown = json.loads(said.out)["secrets"]
    assert shown["venue"] == {"api_key": "****", "api_secret": "****"}
    assert shown["stores"]["default"]["password"] == "****"
    trial.assert_no_secret()


def test_secret_in_the_environment_is_not_shown_either(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "7654321:" + "Ab0_" * 9  # the shape of a bot token
    trial.known_secrets.add(secret)
    monkeypatch.setitem(os.environ, "HOTSPARE_SECRET__TELEGRAM__TOKEN", secret)
    for arguments in (("config", "show"), ("config", "check"), ("status",)):
        trial.nodectl(*arguments, "--node", PI)
    trial.assert_no_secret()


def test_status_is_json_for_programs(trial: Trial) -> None:
    """Verdict and exit code agree: the Jetson trades without a spare."""
    said = trial.nodectl("status", "--json")
    shown = json.loads(said.out)
    assert said.code == shown["exit_code"] == 1
    assert shown["holder"] == JETSON
    assert shown["is_paused"] is False

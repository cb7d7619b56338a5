"""nodectl without a cluster: help, errors, exit codes, and what it must not import."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from node.cli import version as version_module
from node.cli.lazy import USAGE, VERBS
from node.cli.main import SOFTWARE, main
from node.cli.run import crash_text
from tests.support.nodectl import run_nodectl
from tests.support.status_cases import THREE

LEAF_VERBS = [
    *(verb for verb in VERBS if verb not in {"demo", "config", "strategy", "telegram", "stores"}),
    "stores show",
    "stores replace",
    "config check",
    "config show",
    "config paths",
    "strategy new",
    "strategy check",
    "telegram test",
]
CLOSED = """
[cluster]
name = "closed"
topology = "single-host"
preferred_node = "jetson"
[nodes.jetson]
index = 0
[nodes.raspberrypi]
index = 1
[[stores]]
name = "local"
host = "127.0.0.1"
port = 1
[venue]
base_url = "http://127.0.0.1:9"
[[strategies]]
use = "hold"
symbols = ["BTC/USDT"]
"""


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A cluster whose only store does not run (port 1 is never listened to)."""
    path = tmp_path / "cluster.toml"
    path.write_text(CLOSED, encoding="utf-8")
    return path


@pytest.mark.parametrize("verb", LEAF_VERBS)
def test_every_verb_documents_its_exit_codes(verb: str) -> None:
    """Scripts rely on exit codes, so --help has them."""
    code, text = run_nodectl(*verb.split(), "--help")
    assert code == 0
    assert "Exit codes" in text


def test_help_lists_every_verb() -> None:
    """A stranger finds the way."""
    code, text = run_nodectl("--help")
    assert code == 0
    assert all(verb in text for verb in VERBS)


@pytest.mark.parametrize(
    "arguments",
    [
        ["status", "--bogus"],
        ["nonsense"],
        ["logs", "--last", "x"],
        [],
        ["--bogus", "status"],
        ["config"],
    ],
)
def test_wrong_usage_is_no_status(arguments: list[str]) -> None:
    """Click's usual 2 would read as "nobody trades"."""
    assert run_nodectl(*arguments)[0] == USAGE


def test_bad_configuration_lists_everything_and_ends_with_4(tmp_path: Path) -> None:
    """What, where, how to mend; no traceback."""
    path = tmp_path / "cluster.toml"
    path.write_text(CLOSED.replace("hold", "").replace("name", "nmae", 1), encoding="utf-8")
    for verb in (["status"], ["run", "--node", "jetson"], ["config", "check"]):
        code, text = run_nodectl(*verb, "--config", path)
        assert code == 4
        assert "did you mean 'name'?" in text
        assert "strategies.0.use" in text
        assert "Traceback" not in text


def test_missing_configuration_says_init(tmp_path: Path) -> None:
    """The first thing a new user meets."""
    code, text = run_nodectl("status", "-c", tmp_path / "none.toml")
    assert code == 4
    assert "nodectl init" in text


def test_a_bug_has_an_exit_code_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Python's own 1 would tell a script that the pair trades without a spare."""

    def stumble() -> str:
        raise RuntimeError("a bug")

    monkeypatch.setattr(version_module, "program_version", stumble)
    monkeypatch.setattr(sys, "argv", ["nodectl", "version"])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == SOFTWARE == 70
    assert "a bug" in capsys.readouterr().err


def test_status_without_any_store_cannot_tell(closed: Path) -> None:
    """Exit code 3, the text says what was not seen, JSON says the same."""
    code, text = run_nodectl("status", "-c", closed)
    assert code == 3
    assert text.startswith("CANNOT TELL who trades: the only store does not answer")
    code, text = run_nodectl("status", "-c", closed, "--json")
    assert code == 3
    found = json.loads(text)
    assert (found["verdict"], found["exit_code"], found["holder"]) == ("unknown", 3, None)
    assert found["stores"][0]["error"]


@pytest.mark.parametrize(
    ("verb", "code"),
    [("pause", 1), ("resume", 1), ("switchover", 1), ("history", 3), ("clear-crashes", 1)],
)
def test_decisions_without_a_store_are_refused(verb: str, code: int, closed: Path) -> None:
    """Nothing is called done that no majority keeps."""
    found, text = run_nodectl(verb, "-c", closed)
    assert found == code
    assert "local" in text or "nobody can hand over" in text


def test_run_without_a_key_is_refused_before_anything_starts(closed: Path) -> None:
    """The message names file and variables."""
    code, text = run_nodectl("run", "-c", closed, "--node", "jetson")
    assert code == 4
    assert "venue.api_key" in text
    assert not (closed.parent / "state").exists()


def test_a_crash_shows_places_but_no_secret() -> None:
    """What ends the process is printed for a report; a key in its message is taken out."""
    try:
        raise RuntimeError("request with key-of-jetson and signature=00ff00ff00ff failed")  # noqa: TRY301  (it is the case)
    except RuntimeError as error:
        text = crash_text(error, {"key-of-jetson"})
    assert "test_cli.py" in text
    assert "RuntimeError: request with" in text
    message = text.splitlines()[-1]
    assert "key-of-jetson" not in message
    assert "00ff00ff" not in message


def test_an_unknown_node_is_refused_with_the_known_ones(closed: Path) -> None:
    """A typing error in --node."""
    code, text = run_nodectl("logs", "-c", closed, "--node", "jetsen")
    assert code == 1
    assert "jetson, raspberrypi" in text


def test_config_check_prints_the_topology_and_what_is_missing(tmp_path: Path) -> None:
    """Usable, and honest about what is not there yet."""
    path = tmp_path / "cluster.toml"
    path.write_text(THREE, encoding="utf-8")
    code, text = run_nodectl("config", "check", "-c", path)
    assert code == 0
    assert "Three stores" in text
    assert "no venue API key" in text
    found = json.loads(run_nodectl("config", "check", "-c", path, "--json")[1])
    assert found["cluster_id"] == "test-home"


def test_config_show_masks_secrets(closed: Path) -> None:
    """The whole tree as it counts, without a secret."""
    folder = closed.parent / "secrets"
    folder.mkdir()
    file = folder / "jetson.toml"
    file.write_text('[venue]\napi_key = "key-of-jetson"\n', encoding="utf-8")
    file.chmod(0o600)
    code, text = run_nodectl("config", "show", "-c", closed)
    assert code == 0
    assert "key-of-jetson" not in text
    found = json.loads(text)
    assert found["secrets"]["venue"] == {"api_key": "****", "api_secret": None}
    assert found["lease"]["ttl_ms"] == 6000
    file.chmod(0o644)
    code, text = run_nodectl("config", "show", "-c", closed)
    assert code == 4
    assert "chmod 600" in text


def test_strategy_new_then_check_runs(tmp_path: Path) -> None:
    """A stranger's first strategy: written, tried, and an error in it is placed."""
    code, text = run_nodectl("strategy", "new", "mine", "-d", tmp_path)
    assert code == 0
    path = tmp_path / "mine.py"
    code, text = run_nodectl("strategy", "check", path)
    assert code == 0, text
    path.write_text(path.read_text(encoding="utf-8") + "\nimport time\nnow = time.time()\n")
    code, text = run_nodectl("strategy", "check", path)
    assert code == 1
    assert "mine.py:" in text
    assert run_nodectl("strategy", "new", "mine", "-d", tmp_path)[0] == 1


def test_version_is_printed() -> None:
    """For a report."""
    code, text = run_nodectl("version", "--json")
    assert code == 0
    assert json.loads(text)["hotspare"]


def test_status_imports_no_exchange_and_no_messenger(closed: Path) -> None:
    """`status` answers in half a second because it loads nothing that trades or talks."""
    script = (
        "import sys\n"
        "from node.cli.main import app\n"
        "try:\n"
        f"    app(['status', '-c', {str(closed)!r}])\n"
        "except SystemExit as end:\n"
        "    code = end.code\n"
        "heavy = {'ccxt', 'redis', 'telegram', 'aiohttp', 'loguru', 'psutil'}\n"
        "print('code', code, 'heavy', sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "code 3 heavy []"


def test_the_program_itself_starts_and_ends_with_the_right_code(closed: Path) -> None:
    """`python -m node.cli.main` as systemd and the demo start it."""
    done = subprocess.run(
        [sys.executable, "-m", "node.cli.main", "status", "-c", str(closed)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3
    assert done.stderr == ""


def test_status_of_a_node_that_does_not_exist_is_wrong_usage(closed: Path) -> None:
    """Its exit codes 0 to 3 say who trades; a wrong name must not read as one of them."""
    code, output = run_nodectl("status", "--config", closed, "--node", "nobody")
    assert code == USAGE
    assert "there is no node 'nobody'" in output


@pytest.mark.parametrize("arguments", [("config", "show"), ("status", "--help")])
def test_a_terminal_without_utf_8_gets_question_marks(
    arguments: tuple[str, ...], closed: Path
) -> None:
    """A character that the terminal does not have is replaced; the verb still does its work."""
    text = CLOSED.replace("[nodes.jetson]", '[nodes.jetson]\nlabel = "Büro · links"')
    closed.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "node.cli.main", *arguments],
        cwd=Path(__file__).parents[2],
        env={
            **os.environ,
            "PYTHONIOENCODING": "ascii:strict",
            "HOTSPARE_CONFIG": str(closed),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "?" in done.stdout

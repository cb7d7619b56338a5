"""`nodectl init`: what it asks, what it writes, what it says next."""

import json
import shlex
from pathlib import Path

from tests.support.nodectl import run_nodectl


def test_init_yes_gives_a_folder_that_checks(tmp_path: Path) -> None:
    """`nodectl init --yes` then `nodectl config check`, nothing else."""
    code, text = run_nodectl("init", "--yes", "-d", tmp_path / "pair")
    assert code == 0
    assert "never withdrawal" in text
    assert "Single host" in text
    assert run_nodectl("config", "check", "-c", tmp_path / "pair" / "cluster.toml")[0] == 0
    code, text = run_nodectl("init", "--yes", "-d", tmp_path / "pair")
    assert code == 4
    assert "already there" in text


def test_init_by_flags_prints_the_topology_sentence_and_the_remedy(tmp_path: Path) -> None:
    """Two boxes is the first case, not an error; what it cannot survive is said."""
    code, text = run_nodectl(
        "init",
        "--yes",
        "-d",
        tmp_path,
        "--set",
        "standby_host=192.168.1.12",
        "--set",
        "name=attic",
        "--set",
        "preferred_host=192.168.1.11",
    )
    assert code == 0
    assert "Two boxes, one store" in text
    assert "witness" in text
    assert "requirepass" in text  # a store with no or another password lets no node in


def test_what_init_says_next_can_be_typed_as_it_stands(tmp_path: Path) -> None:
    """The folder is another one than where it was typed."""
    folder = tmp_path / "my home"
    hosts = ("--set", "standby_host=192.168.1.12", "--set", "preferred_host=192.168.1.11")
    _, text = run_nodectl("init", "--yes", "-d", folder, *hosts)
    said = next(line for line in text.splitlines() if line.startswith("next:  nodectl "))
    code, text_of_check = run_nodectl(*shlex.split(said.removeprefix("next:  nodectl ")))
    assert code == 0, text_of_check
    assert f"make deploy-primary CLUSTER='{folder}'" in text


def test_init_asks_about_ten_questions_and_hides_secrets(tmp_path: Path) -> None:
    """A wrong answer is asked again; keys are not echoed and land in the right file."""
    answers = [
        "tset",  # refused, asked again
        "test",
        "two-boxes",
        "jetson",  # one name for two boxes: refused, asked again
        "jetson, pi",
        "192.168.1.11,192.168.1.12",
        "http://192.168.1.12:8800",
        "BTC/USDT, ETH/USDT",
        "grid",
        "25",
        "key-of-jetson-1",
        "secret-of-jetson-1",
        "",  # no key of the other box yet
        "",  # no Telegram token yet
        "hc-ping.com/8f3c1f0e",  # refused, asked again
        "https://hc-ping.com/8f3c1f0e-5d0b-4c39-9d2a-0f6b7a1c2d3e",
    ]
    wrong = 3
    assert len(answers) - wrong == 13
    code, text = run_nodectl("init", "-d", tmp_path, input="\n".join(answers) + "\n")
    assert code == 0, text
    assert "key-of-jetson-1" not in text
    assert "secret-of-jetson-1" not in text
    assert "at most 100 in one market, and no new risk after losing 10 in a day" in text
    assert "8f3c1f0e" not in text
    secrets = (tmp_path / "secrets" / "jetson.toml").read_text(encoding="utf-8")
    assert 'api_key = "key-of-jetson-1"' in secrets
    assert 'cluster = "https://hc-ping.com/8f3c1f0e' in secrets
    shown = json.loads(run_nodectl("config", "show", "-c", tmp_path / "cluster.toml")[1])
    assert set(shown["nodes"]) == {"jetson", "pi"}
    assert shown["strategies"][0]["symbols"] == ["BTC/USDT", "ETH/USDT"]
    limits = {name: shown["risk"][name] for name in ("max_order_value", "max_position_value")}
    assert limits == {"max_order_value": "25", "max_position_value": "100"}
    assert shown["risk"]["daily_loss_limit"] == "10"


def test_init_for_its_own_paper_exchange_speaks_of_no_key_that_could_be_left_empty(
    tmp_path: Path,
) -> None:
    """None is asked for: they are made up."""
    answers = ["test", "two-boxes", "", "192.168.1.11,192.168.1.12", *("",) * 6]
    code, text = run_nodectl("init", "-d", tmp_path, input="\n".join(answers) + "\n")
    assert code == 0, text
    assert "keys of the paper exchange are made up" in text
    assert "Leave a key empty" not in text


def test_init_of_prod_with_a_witness_asks_for_addresses_and_chat(tmp_path: Path) -> None:
    """The addresses come in one line; real money wants to know whom to tell."""
    answers = [
        "prod",
        "three-stores",
        "",  # jetson,raspberrypi
        "192.168.1.11,192.168.1.12",  # one is missing: refused, asked again
        "192.168.1.11,192.168.1.12,192.168.1.13",
        "",  # BTC/USDT
        "",  # hold
        "",  # 50
        "-100123",
        "",
        "",
        "",
        "",
    ]
    code, text = run_nodectl("init", "-d", tmp_path, input="\n".join(answers) + "\n")
    assert code == 0, text
    assert "3 wanted, 2 given" in text
    shown = json.loads(run_nodectl("config", "show", "-c", tmp_path / "cluster.toml")[1])
    assert [store["host"] for store in shown["stores"]] == [f"192.168.1.{n}" for n in (11, 12, 13)]
    assert shown["telegram"]["chat_id"] == -100123


def test_init_does_not_ask_what_was_set(tmp_path: Path) -> None:
    """Every answer can be given with --set, also those that no question asks for."""
    given = {
        "profile": "test",
        "topology": "two-boxes",
        "standby_node": "attic",
        "standby_host": "192.168.1.12",
        "preferred_host": "192.168.1.11",
        "base_url": "http://192.168.1.12:8800",
        "symbols": "ETH/USDT",
        "name": "spare",
        "exchange": "binance",
        "strategy": "trend",
        "max_order_value": "10",
        "max_position_value": "30",
        "daily_loss_limit": "7.5",
        "chat_id": "5",
    }
    flags = [part for name, value in given.items() for part in ("--set", f"{name}={value}")]
    answers = ["garage", "", "", "", ""]  # the other box's name, two keys, token, dead-man URL
    code, text = run_nodectl("init", "-d", tmp_path, *flags, input="\n".join(answers) + "\n")
    assert code == 0, text
    shown = json.loads(run_nodectl("config", "show", "-c", tmp_path / "cluster.toml")[1])
    assert set(shown["nodes"]) == {"garage", "attic"}
    assert shown["cluster"]["name"] == "spare"
    assert shown["risk"]["max_position_value"] == "30"
    assert shown["risk"]["daily_loss_limit"] == "7.5"
    assert shown["telegram"]["chat_id"] == 5

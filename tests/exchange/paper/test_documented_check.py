"""The check that docs/paper-exchange.md prints: it passes a true log and catches doctored ones."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.paper_server import RawClient, paper_process

PAGE = Path(__file__).parents[3] / "docs" / "paper-exchange.md"
ORDER: dict[str, Any] = {"symbol": "ETHBTC", "side": "BUY", "type": "MARKET", "quantity": "3"}


def documented_script() -> str:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert len(blocks) == 1
    return str(blocks[0])


def run_check(directory: Path, lines: list[dict[str, Any]]) -> tuple[int, str]:
    log = directory / "doctored.jsonl"
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = subprocess.run(
        [sys.executable, "-c", documented_script(), str(log)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """A true log: orders of two accounts, filled, resting and cancelled."""
    with paper_process(tmp_path_factory.mktemp("paper")) as paper:
        client = RawClient(paper)
        client.signed("POST", "order", newClientOrderId="one", **ORDER)
        limit = {"type": "LIMIT", "timeInForce": "GTC", "price": "0.04"}
        client.signed("POST", "order", newClientOrderId="two", **(ORDER | limit))
        paper.jump("ETHBTC", "0.04")
        client.signed("DELETE", "order", symbol="ETHBTC", origClientOrderId="two")
        return paper.read_log()


def test_true_log_agrees_with_itself(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    """Exit status 0, also when the last batch is torn."""
    assert run_check(tmp_path, lines) == (0, "the log agrees with itself\n")
    torn = {"seq": 0, "type": "fill", "account": "main"}
    assert run_check(tmp_path, [*lines, torn])[0] == 0


def _without_a_fill(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    number = next(n for n, line in enumerate(lines) if line["type"] == "fill")
    return lines[:number] + lines[number + 1 :]


def _fill_twice(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    number = next(n for n, line in enumerate(lines) if line["type"] == "fill")
    return [*lines[:number], lines[number], *lines[number:]]


def _order_twice(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    number = next(n for n, line in enumerate(lines) if line["type"] == "order")
    return [*lines[:number], lines[number], *lines[number:]]


def _larger_fill(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        line | ({"quantity": "7"} if line["type"] == "fill" and line["order_id"] == 2 else {})
        for line in lines
    ]


@pytest.mark.parametrize(
    ("doctor", "message"),
    [
        (_without_a_fill, "fills say"),
        (_fill_twice, "fills say"),
        (_order_twice, "accepted 2 times"),
        (_larger_fill, "filled 7 of 3"),
    ],
    ids=["a fill is missing", "a fill is doubled", "an order is doubled", "overfilled"],
)
def test_doctored_log_is_caught(
    tmp_path: Path, lines: list[dict[str, Any]], doctor: Any, message: str
) -> None:
    """A check that cannot fail would prove nothing."""
    status, text = run_check(tmp_path, doctor(lines))
    assert status == 1
    assert message in text

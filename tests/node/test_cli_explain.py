"""nodectl explain: why an order was sent, and why none was, from the decision log."""

import json
from pathlib import Path
from typing import Any

import pytest

from node.log_files import RotatingFile
from node.logs import FILE_NAME
from tests.node.test_cli import CLOSED
from tests.support.nodectl import run_nodectl

ORDER = "h93k800007go00001s"


def decided(minute: int, symbol: str, reason: str, *, has_fired: bool) -> dict[str, Any]:
    """One decision as the node logs it."""
    return {
        "ts": f"2026-11-22T12:{minute:02d}:00.000Z",
        "level": "info",
        "event": "strategy.decided",
        "stream": "decisions",
        "strategy": "cross",
        "symbol": symbol,
        "candle_open_ms": 1_763_812_500_000 + minute * 60_000,
        "close": "3000",
        "reason": reason,
        "target": "0.5" if has_fired else None,
        "orders": [],
        "evidence": [f"fast above slow, %: 0.2 vs > 0.1 {'fired' if has_fired else 'no'}"],
    }


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A cluster whose node jetson decided three times, skipped once and sent one order."""
    path = tmp_path / "cluster.toml"
    path.write_text(CLOSED, encoding="utf-8")
    when = {"level": "info", "symbol": "ETH/USDT", "client_order_id": ORDER}
    log = RotatingFile(tmp_path / "state" / "jetson" / "log" / FILE_NAME, max_bytes=100_000, kept=3)
    for line in (
        decided(0, "ETH/USDT", "in between", has_fired=False),
        decided(1, "ETH/USDT", "up", has_fired=True),
        decided(1, "BTC/USDT", "another market", has_fired=False),
        {**when, "ts": "2026-11-22T12:01:01.000Z", "event": "order.intended", "tag": "target"},
        {**when, "ts": "2026-11-22T12:01:02.000Z", "event": "order.confirmed"},
        decided(2, "ETH/USDT", "later", has_fired=False),
        {
            **decided(3, "ETH/USDT", "overrun: no decision within 2000 ms", has_fired=False),
            "event": "strategy.skipped",
            "where": "mine.py:7",
        },
    ):
        log.write(json.dumps(line) + "\n")
    log.close()
    return path


def explain(config: Path, *arguments: str, node: str = "jetson") -> tuple[int, str]:
    """Run the verb; return exit code and output."""
    return run_nodectl("explain", "-c", config, "-n", node, *arguments)


def test_explain_an_order_shows_the_decision_that_asked_for_it(config: Path) -> None:
    """If the bot made a bad trade, it can be said exactly why."""
    code, text = explain(config, ORDER)
    assert code == 0
    assert "cross: up" in text
    assert "[x] fast above slow, %: 0.2 vs > 0.1" in text
    assert "target 0.5" in text
    assert "order.confirmed" in text
    assert not any(word in text for word in ("in between", "another market", "later"))


def test_explain_shows_also_why_nothing_was_done(config: Path) -> None:
    """A condition that did not fire is shown with its value and threshold."""
    code, text = explain(config, "--symbol", "ETH/USDT", "--at", "2026-11-22T12:00:30")
    assert code == 0
    assert "cross: in between" in text
    assert "[ ] fast above slow, %: 0.2 vs > 0.1" in text
    assert "target unchanged; resting orders wanted: none" in text
    assert "cross: up" not in text


def test_explain_shows_a_skipped_candle_with_its_place(config: Path) -> None:
    """A trade that was skipped is not silent either."""
    code, text = explain(config, "--last", "1")
    assert code == 0
    assert "no decision within 2000 ms" in text
    assert "mine.py:7" in text


def test_explain_gives_json_lines(config: Path) -> None:
    """For programs: the log's own lines."""
    code, text = explain(config, "--last", "2", "--json")
    assert code == 0
    assert [json.loads(line)["event"] for line in text.splitlines()] == [
        "strategy.decided",
        "strategy.skipped",
    ]


@pytest.mark.parametrize(
    ("arguments", "node"),
    [((ORDER[:-1],), "jetson"), ((), "raspberrypi"), (("--at", "soon"), "jetson")],
    ids=["an order that is not in the log", "a node without a log", "no time"],
)
def test_explain_what_is_not_there_is_said(
    config: Path, arguments: tuple[str, ...], node: str
) -> None:
    """Nothing found is not an empty answer."""
    code, text = explain(config, *arguments, node=node)
    assert code == 1
    assert text

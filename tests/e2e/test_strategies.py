"""Strategies that misbehave or differ between the boxes: never a failover, never new risk (R7)."""

import pytest

from node.demo.stage import StrategyPart
from tests.e2e.conftest import PairMaker
from tests.support.pair import (
    BTC,
    ETH,
    JETSON,
    PI,
    Pair,
    mover_part,
    plan_of,
    walk,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

LTC = "LTC/USDT"
SLEEPER = '''
"""sleeper: computes for a minute and more before it wants nothing."""

from strategy.model import Decision, Declaration

STRATEGY = Declaration(
    name="sleeper", version="1", symbols=("LTC/USDT",), timeframe="1m", history=1, doc="Too slow."
)


def decide(market, portfolio, state):
    number = 0
    while number < 10**10:
        number += 1
    return Decision(orders=(), state={}, evidence=(), reason=f"counted to {number}")
'''


def test_strategy_that_blocks_for_a_minute(make_pair: PairMaker) -> None:
    """DESIGN 5: an overrun is a skipped candle and an alert, never a failover."""
    sleeper = StrategyPart(
        use="sleeper.py", symbol=LTC, budget_ms=1000, paper=walk("ltc", "80", "100")
    )
    pair = make_pair(plan_of(mover_part(), sleeper), {"sleeper.py": SLEEPER})
    pair.start(JETSON)
    pair.wait_active(JETSON)
    pair.story.start_node(PI)
    pair.story.wait_spare(PI)
    changes = pair.stage.role_changes(JETSON)

    seen = len(pair.events(JETSON, "strategy.skipped", symbol=LTC))
    for number in range(3):
        pair.wait_event(JETSON, "strategy.skipped", symbol=LTC, since=seen + number)
        pair.wait_order(JETSON)
    pair.wait_told("strategy_skipped", JETSON)
    assert pair.events(JETSON, "strategy.skipped", symbol=BTC) == []
    assert pair.stage.role_changes(JETSON) == changes
    assert pair.epochs(PI) == []
    pair.judge()


def test_other_parameters_on_the_standby(pair: Pair) -> None:
    """R7: another fingerprint may take over and protect, but adds nothing until it is accepted."""
    pair.start(JETSON)
    pair.wait_active(JETSON)
    _start_differing(pair)
    pair.wait_resting(6)
    pair.kill(JETSON)

    report = pair.wait_active(PI)
    assert report["orders_kept"] >= 3
    differs = pair.wait_event(PI, "fingerprint.differs")
    assert differs["symbols"] == [ETH]
    pair.wait_told("degraded", PI)
    console = pair.node(PI).console.read_text()
    assert f"if fingerprint {differs['fingerprint']} of this node" in console
    assert "nodectl resume --accept-strategy" in console
    # Fills make a grid place sells; the symbol of the equal strategy goes on as before.
    pair.fill_some()
    for _ in range(3):
        pair.wait_order(PI)
    assert not _placed(pair)

    accepted = pair.stage.nodectl("resume", "--accept-strategy")
    assert accepted.returncode == 0, accepted.stderr
    pair.wait_event(PI, "latch.accepted", symbol=ETH)
    pair.wait(lambda: _placed(pair), "an order of the accepted strategy")
    assert len(pair.events(PI, "fingerprint.differs")) == 1
    pair.judge()


def _start_differing(pair: Pair) -> None:
    """Start the Pi with a grid of other steps."""
    same = pair.stage.config_path.read_text()
    other = same.replace("step_percent = 0.2", "step_percent = 0.3")
    assert other != same
    path = pair.stage.directory / "other.toml"
    path.write_text(other)
    pair.start(PI, config=path)
    pair.story.wait_spare(PI)


def _placed(pair: Pair) -> list[str]:
    """Return what the Pi placed in the symbol whose strategy differs."""
    return [
        str(r["client_order_id"])
        for r in pair.requests(PI)
        if r["method"] == "POST" and r["params"]["symbol"] == ETH.replace("/", "")
    ]

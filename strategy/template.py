"""The commented example that `nodectl strategy new NAME` writes; it passes `check` as it is."""

from pathlib import Path

from strategy.declaration import NAME
from strategy.errors import StrategyRefused
from strategy.loading import SHIPPED
from strategy.model import Problem

PLACEHOLDER = "@NAME@"

TEMPLATE = '''\
"""@NAME@: buys a dip below the average, sells when the price is back at it."""

from decimal import Decimal

from strategy.model import Decision, Declaration, Evidence, Parameter

# Read without running this file, so write plain values here.
STRATEGY = Declaration(
    name="@NAME@",
    version="1",
    symbols=("ETH/USDT",),  # the configuration may name others
    timeframe="5m",  # decide() is called once per closed candle of this length
    history=50,  # so many closed candles are given to each call
    parameters={
        # The type is that of the default. Change values in the configuration, not here.
        "dip_percent": Parameter(
            default=Decimal("1.0"),
            minimum=Decimal("0.1"),
            maximum=Decimal(20),
            doc="buy when the close is so far below the average, percent",
        ),
        "quote_value": Parameter(
            default=Decimal(40), minimum=Decimal(10), doc="how much to buy, in quote currency"
        ),
    },
)


def decide(market, portfolio, state):
    """Say what is wanted from now on. Same input, same output: no clock, no files, no network."""
    # Closed candles, oldest first. All prices are Decimal.
    closes = [candle.close for candle in market.candles]
    close, average = closes[-1], sum(closes) / len(closes)
    distance = (close / average - 1) * 100
    held = portfolio.position.amount

    is_dip = distance < -market.parameters["dip_percent"]
    is_back = distance >= 0
    is_held = held * close > market.rules.cost_min  # less than that cannot be sold anyway

    # `target` is the position wanted, in base units; None leaves the position alone.
    # What was decided is kept in `state`: the next call gets it, also on the other node.
    target = Decimal(state["target"]) if "target" in state else None
    if is_held and is_back:
        target, reason = Decimal(0), "back at the average: sell"
    elif is_dip and not is_held:
        # Whole steps of the venue, rounded down; and never more than what is free.
        value = min(market.parameters["quote_value"], portfolio.quote_free * Decimal("0.99"))
        target = value / close // market.rules.amount_step * market.rules.amount_step
        reason = "a dip: buy"
    else:
        reason = "keep waiting"

    return Decision(
        target=target,
        orders=(),  # resting orders, if you want some: DesiredOrder(tag="b1", side=..., ...)
        state={} if target is None else {"target": str(target)},
        # Every condition, also those that did not fire: this becomes the decision log.
        evidence=(
            Evidence(
                condition="close below the average, %",
                value=f"{distance:.3f}",
                threshold=f"< -{market.parameters['dip_percent']}",
                has_fired=is_dip,
            ),
            Evidence(
                condition="back at the average, %",
                value=f"{distance:.3f}",
                threshold=">= 0",
                has_fired=is_back,
            ),
            Evidence(
                condition="holds something",
                value=str(held),
                threshold=f"value > {market.rules.cost_min}",
                has_fired=is_held,
            ),
        ),
        reason=reason,
    )
'''


def new_strategy(name: str, directory: Path) -> Path:
    """Write the example under a new name and return its path.

    Raises:
        StrategyRefused: the name cannot be used, a file is there already, or it cannot be
            written.
    """
    path = directory / f"{name}.py"
    what = instead = ""
    if not NAME.fullmatch(name):
        what, instead = f"the name {name!r}", "use a-z 0-9 _ -, a letter first, at most 32"
    elif name in SHIPPED:
        what, instead = f"the name {name!r} belongs to a shipped strategy", "use another one"
    if not what:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(TEMPLATE.replace(PLACEHOLDER, name))
        except FileExistsError:
            what, instead = "the file is there already", "use another name, or remove it first"
        except OSError as error:
            what = f"cannot be written: {error.strerror}"
    if what:
        raise StrategyRefused([Problem(file=str(path), line=1, what=what, instead=instead)])
    return path

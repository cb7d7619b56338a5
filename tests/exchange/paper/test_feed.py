"""Prices over time: files and walks, points and klines, pause, jump and the end of a file."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.paper.candles import CandleSource, CsvCandles, WalkCandles
from exchange.paper.config import ConfigError, SymbolConfig
from exchange.paper.feed import POINTS, Feed, Timeline
from exchange.paper.process import PaperProcess
from tests.support.paper_server import RawClient, paper_process, still_symbol, wait_until

MINUTE_MS = 60_000
STEP = Decimal("0.01")
RULES = SymbolConfig(symbol="ETH/USDT", seed="0", price_step="0.01").rules(Decimal(100))


def walk(seed: str = "7") -> WalkCandles:
    return WalkCandles(
        seed=seed, start=Decimal(100), volatility=0.01, volume=Decimal(10), price_step=STEP
    )


def feed(source: CandleSource, *, speed: float = 1.0, first_open_ms: int = 0) -> Feed:
    timeline = Timeline(
        first_open_ms=first_open_ms, anchor_wall_ms=0, anchor_candle_ms=first_open_ms, speed=speed
    )
    return Feed(
        rules=RULES,
        source=source,
        timeframe_ms=MINUTE_MS,
        seed="7",
        depth_factor=Decimal(1),
        timeline=timeline,
    )


def csv_file(path: Path, rows: str) -> Path:
    path.write_text("timestamp_ms,open,high,low,close,volume\n" + rows)
    return path


@given(seed=st.text(min_size=1, max_size=5), count=st.integers(1, 60))
def test_walk_is_the_same_for_the_same_seed_and_always_a_market(seed: str, count: int) -> None:
    """Same seed, same candles; each opens where the last closed, and none is impossible."""
    source, again = walk(seed), walk(seed)
    candles = [source.candle(number) for number in range(count)]
    assert [again.candle(number) for number in reversed(range(count))] == candles[::-1]
    for before, after in pairwise(candles):
        assert abs(after.open - before.close) <= STEP
        assert after.low > 0
        assert after.high % STEP == 0


@given(number=st.integers(0, 200))
def test_points_of_a_candle_make_the_candle(number: int) -> None:
    """Open, both extremes, close, with all of the volume: the kline is the source's candle."""
    subject, candle = feed(walk()), walk().candle(number)
    last = number * POINTS + POINTS - 1
    open_ms = number * MINUTE_MS
    (kline,) = subject.klines(last, interval_ms=MINUTE_MS, first_ms=open_ms, last_ms=open_ms)
    assert (kline.open, kline.high, kline.low, kline.close, kline.volume) == (
        candle.open,
        candle.high,
        candle.low,
        candle.close,
        candle.volume,
    )


def test_forming_candle_is_the_last_and_grows() -> None:
    """Point by point the last kline takes its shape; earlier ones never change."""
    subject = feed(walk())
    seen = [
        subject.klines(newest, interval_ms=MINUTE_MS, first_ms=0, last_ms=10**12)
        for newest in range(12)
    ]
    assert [len(klines) for klines in seen] == [1] * 4 + [2] * 4 + [3] * 4
    assert [klines[-1].points for klines in seen] == [1, 2, 3, 4] * 3
    assert seen[11][0] == seen[3][0]


@given(
    looks=st.lists(st.tuples(st.integers(0, 60), st.booleans()), min_size=1, max_size=12),
    first=st.integers(0, 20),
)
def test_remembered_candles_are_those_of_a_feed_that_remembers_nothing(
    looks: list[tuple[int, bool]], first: int
) -> None:
    """Also after a jump, which bends the newest point of a candle that had just closed."""
    subject = feed(walk())
    for newest, jumps in sorted(looks):
        if jumps:
            jump = (newest, Decimal("1.5"))
            subject.timeline = replace(subject.timeline, jumps=(*subject.timeline.jumps, jump))
        fresh = feed(walk())
        fresh.timeline = subject.timeline
        klines = [
            each.klines(
                newest, interval_ms=MINUTE_MS, first_ms=first * MINUTE_MS, last_ms=12 * MINUTE_MS
            )
            for each in (subject, fresh)
        ]
        assert klines[0] == klines[1]


def test_longer_intervals_are_put_together_from_shorter_ones() -> None:
    """A 5 m kline is five 1 m ones; it opens on a multiple of 5 m."""
    subject = feed(walk(), first_open_ms=3 * MINUTE_MS)
    ones = subject.klines(47, interval_ms=MINUTE_MS, first_ms=0, last_ms=10**12)
    fives = subject.klines(47, interval_ms=5 * MINUTE_MS, first_ms=0, last_ms=10**12)
    assert [k.open_ms // MINUTE_MS for k in fives] == [0, 5, 10]
    assert fives[1].high == max(k.high for k in ones[2:7])
    assert fives[1].volume == sum(k.volume for k in ones[2:7])


def test_speed_says_when_a_point_happens() -> None:
    """At speed 60 a one-minute candle takes a second; both sides of the boundary."""
    subject = feed(walk(), speed=60)
    assert [subject.number_at(wall_ms) for wall_ms in (0, 249, 250, 999, 1000)] == [0, 0, 1, 3, 4]
    due_ms = subject.due_wall_ms(5)
    assert due_ms is not None
    assert subject.number_at(due_ms) == 5


def test_pause_and_resume_keep_candle_time() -> None:
    """While paused nothing comes; afterwards it goes on where it stopped."""
    subject = feed(walk())
    subject.timeline = subject.timeline.anchored(30_000, is_paused=True)
    assert subject.number_at(10**9) == subject.number_at(30_000) == 2
    assert subject.due_wall_ms(3) is None
    subject.timeline = subject.timeline.anchored(100_000, is_paused=False)
    assert subject.number_at(114_999) == 2
    assert subject.number_at(115_000) == 3


def test_timeline_is_the_same_after_its_log_line() -> None:
    """What a restart reads is what was written."""
    timeline = Timeline(
        first_open_ms=1,
        anchor_wall_ms=2,
        anchor_candle_ms=3,
        speed=2.5,
        is_paused=True,
        jumps=((4, Decimal("1.1")),),
    )
    assert Timeline.from_line(timeline.to_line("ETHBTC")) == timeline


def test_restart_goes_on_at_the_configured_speed_with_the_same_candles_only() -> None:
    """Another speed continues from where candle time was; other candles start anew."""
    before = Timeline(
        first_open_ms=0, anchor_wall_ms=0, anchor_candle_ms=0, speed=1.0, source="a 1m"
    )
    faster = replace(before, speed=10.0, anchor_candle_ms=777)
    other = replace(faster, source="b 1m")
    assert before.resumed(before, 5000) == before
    resumed = before.resumed(faster, 5000)
    assert [resumed.candle_ms(wall_ms) for wall_ms in (5000, 6000)] == [5000, 15_000]
    assert before.resumed(other, 5000) == other


def test_end_of_a_file_holds_the_last_price(tmp_path: Path) -> None:
    """No candle opens after the last one; its close stays."""
    path = csv_file(tmp_path / "c.csv", "0,1,2,1,2,4\n60000,2,3,2,3,4\n")
    subject = feed(CsvCandles(path, STEP))
    assert subject.number_at(10 * MINUTE_MS) == 7
    assert subject.due_wall_ms(8) is None
    assert subject.point(7).price == subject.point(8).price == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("time,o,h,l,c,v\n", "first line must be"),
        ("timestamp_ms,open,high,low,close,volume\n", "no candles"),
        ("timestamp_ms,open,high,low,close,volume\n0,1,1,1\n", ":2:"),
        ("timestamp_ms,open,high,low,close,volume\n0,1,1,1,1,1\n1,1,x,1,1,1\n", ":3:"),
        ("timestamp_ms,open,high,low,close,volume\n0,1,1,2,1,1\n", "low 2"),
    ],
    ids=["other header", "header only", "missing columns", "no number", "low above high"],
)
def test_wrong_file_is_refused_with_its_line(tmp_path: Path, content: str, message: str) -> None:
    """A file that cannot be a market names the line, before anything trades on it."""
    path = tmp_path / "c.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        CsvCandles(path, STEP)


@pytest.mark.parametrize(
    "fields",
    [
        {"symbol": "ETHBTC", "seed": "1"},
        {"symbol": "ETH/BTC"},
        {"symbol": "ETH/BTC", "seed": "1", "candles": "x.csv"},
        {"symbol": "ETH/BTC", "seed": "1", "timeframe": "7m"},
        {"symbol": "ETH/BTC", "seed": "1", "speed": 0.0},
    ],
    ids=["no slash", "no source", "two sources", "unknown timeframe", "standing still"],
)
def test_impossible_symbol_is_refused(fields: dict[str, object]) -> None:
    """What cannot run is refused when it is read."""
    with pytest.raises(ConfigError):
        SymbolConfig(**fields)  # type: ignore[arg-type]  # (wrong on purpose)


def test_running_market_moves_by_itself(tmp_path: Path) -> None:
    """At speed 600 a minute candle takes 100 ms: klines close and public trades appear."""
    symbol = {"symbol": "BTC/USDT", "seed": "3", "start_price": "30000", "speed": 600.0}
    with paper_process(tmp_path, symbols=[symbol]) as paper:
        client = RawClient(paper)

        def newest_open_ms() -> int:
            rows = client.public("klines", symbol="BTCUSDT", interval="1m", limit=5)[1]
            assert [b[0] - a[0] for a, b in pairwise(rows)] == [MINUTE_MS] * 4
            return int(rows[-1][0])

        first_ms = newest_open_ms()
        wait_until(lambda: newest_open_ms() >= first_ms + 5 * MINUTE_MS)
        trades = client.public("trades", symbol="BTCUSDT", limit=5)[1]
        assert len(trades) == 5
        day = client.public("ticker/24hr", symbol="BTCUSDT")[1]
        assert float(day["lowPrice"]) <= float(day["lastPrice"]) <= float(day["highPrice"])


def test_walk_at_speed_one_is_in_step_with_the_clock(tmp_path: Path) -> None:
    """The forming candle of a walk is the one that the venue's time falls into."""
    with paper_process(tmp_path, symbols=[{"symbol": "BTC/USDT", "seed": "3"}]) as paper:
        client = RawClient(paper)
        before_ms = client.public("time")[1]["serverTime"]
        row = client.public("klines", symbol="BTCUSDT", interval="1m", limit=1)[1][0]
        after_ms = client.public("time")[1]["serverTime"]
        assert before_ms - 2 * MINUTE_MS < row[0] <= after_ms


def test_klines_are_cut_by_time_and_limit(paper: PaperProcess, client: RawClient) -> None:
    """limit counts from the newest, or from startTime on; endTime bounds opening times."""

    def opens(**parameters: int) -> list[int]:
        rows = client.public("klines", symbol="ETHBTC", interval="1m", **parameters)[1]
        return [row[0] for row in rows]

    every = opens(limit=1000)
    assert len(every) == 51
    assert opens(limit=3) == every[-3:]
    assert opens(startTime=every[10], limit=3) == every[10:13]
    assert opens(endTime=every[10], limit=3) == every[8:11]
    assert opens(startTime=every[10], endTime=every[12]) == every[10:13]
    assert opens(startTime=every[-1] + 1) == []


def test_symbols_trade_apart(tmp_path: Path) -> None:
    """Several symbols have their own prices, orders and ids; exchangeInfo shows those asked."""
    symbols = [still_symbol(tmp_path), still_symbol(tmp_path, "XRP/BTC", volume="100")]
    with paper_process(tmp_path, symbols=symbols) as paper:
        client = RawClient(paper)
        paper.jump("XRP/BTC", "0.06")
        prices = {row["symbol"]: row["price"] for row in client.public("ticker/price")[1]}
        assert prices == {"ETHBTC": "0.05000000", "XRPBTC": "0.06000000"}
        for asked, names in (
            ({}, ["ETHBTC", "XRPBTC"]),
            ({"symbol": "XRPBTC"}, ["XRPBTC"]),
            ({"symbols": '["ETHBTC"]'}, ["ETHBTC"]),
        ):
            shown = client.public("exchangeInfo", **asked)[1]["symbols"]
            assert [entry["symbol"] for entry in shown] == names
        book = client.public("ticker/bookTicker", symbol="XRPBTC")[1]
        assert (book["bidPrice"], book["askPrice"]) == ("0.05999000", "0.06001000")

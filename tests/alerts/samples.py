"""One realistic row of each kind and of each special case: source of the golden texts."""

from collections.abc import Mapping
from dataclasses import replace

from alerts.changes import Row, RowState
from alerts.kinds import KIND_RULES
from alerts.model import Kind, Verdict
from tests.alerts.builders import build_event

ORDER = {
    "side": "buy",
    "amount": "0.25",
    "symbol": "ETH/BTC",
    "price": "0.03412",
    "type": "limit",
    "client_order_id": "h7k2m9x0q4w1b8z3vd",
}

OWNER = {"strategy": "grid", "tag": "buy-3"}

TAKEOVER = {
    "gap_s": "6.4",
    "reason": "jetson stopped renewing its lease",
    "previous": "jetson, epoch 6",
    "position_before": "1.20 ETH",
    "position_after": "1.45 ETH",
    "fills_in_gap": "1: bought 0.25 ETH at 0.03412 BTC",
    "orders_kept": "3",
    "orders_cancelled": "1",
    "orders_unclear": "0",
    "protection": "stop-loss for 1.20 ETH at 0.03100 BTC",
    "spare": "none, jetson has not been seen since 07:59:53 UTC",
}

BEFORE = frozenset({"gap_s", "reason", "previous", "position_before"})

FACTS: Mapping[Kind, Mapping[str, str]] = {
    Kind.STARTUP: {
        "role": "standby",
        "version": "0.1.0",
        "profile": "test",
        "venue": "paper, reachable",
        "strategies": "grid ETH/BTC",
        "stores": "3 of 3 answer",
        "topology": "any one box may fail",
        "spare": "this node; jetson trades",
    },
    Kind.TOOK_OVER: TAKEOVER,
    Kind.GAVE_UP: {
        "reason": "the lease could not be renewed within 6 s",
        "last_order": "07:59:41 UTC",
        "orders_left": "3",
        "next": "jetson, if it is fit",
    },
    Kind.NOBODY_TRADES: {
        "since": "08:00:12 UTC",
        "reason": "2 of 3 lease stores do not answer",
        "position": "1.45 ETH",
        "protection": "stop-loss for 1.20 ETH at 0.03100 BTC",
        "fix": "bring one of the stores pi, witness back",
    },
    Kind.BOTH_WERE_OFF: {
        "gap": "41 min",
        "off_since": "07:19 UTC",
        "position_before": "1.20 ETH",
        "position_after": "1.20 ETH",
        "fills_in_gap": "none",
        "now": "raspberrypi trades, no spare yet",
    },
    Kind.SPARE_LOST: {
        "peer": "jetson",
        "state": "gone",
        "reason": "not seen on any store",
        "last_seen": "30 s ago",
        "fix": "look at the power and network of jetson",
    },
    Kind.SPARE_BACK: {"peer": "jetson", "away": "12 min"},
    Kind.PREFERRED_FIT: {"peer": "jetson", "fit_for": "10 min"},
    Kind.ORDER_PLACED: {**ORDER, "reason": "grid level 3", **OWNER},
    Kind.ORDER_FILLED: {
        **ORDER,
        "filled": "0.25",
        "ordered": "0.25",
        "fee": "0.0000085 BTC",
        "position": "1.45 ETH",
        "result_today": "+0.0021 BTC",
        **OWNER,
    },
    Kind.ORDER_REJECTED: {
        **ORDER,
        "refused_by": "the venue",
        "reason": "Filter failure: NOTIONAL (-1013)",
        **OWNER,
    },
    Kind.ORDER_UNKNOWN: {
        **ORDER,
        "reason": "no answer within 4 s",
        "age": "20 s",
        **OWNER,
        "fix": "look for the order at the venue",
    },
    Kind.ORDER_RESOLVED: {
        **ORDER,
        "outcome": "filled",
        "filled": "0.25 ETH",
        "found_in": "trades",
        **OWNER,
    },
    Kind.STRATEGY_SKIPPED: {
        "strategy": "grid",
        "symbol": "ETH/BTC",
        "reason": "ZeroDivisionError: division by zero",
        "candle": "08:00 UTC",
        "where": "grid.py:41",
    },
    Kind.PAUSED: {"by": "telegram:42 (ada)", "reason": "asked for", "orders_left": "3"},
    Kind.RESUMED: {"by": "ada@laptop", "paused_for": "2 h"},
    Kind.LOSS_LIMIT: {
        "result_today": "-0.0100 BTC",
        "limit": "-0.0100 BTC",
        "position": "1.45 ETH",
        "orders_left": "0",
    },
    Kind.STORE_LOST: {
        "store": "witness",
        "reason": "connection refused",
        "stores_ok": "2",
        "stores_all": "3",
        "meaning": "one more lost store stops trading",
        "fix": "look at the power and network of witness",
    },
    Kind.STORE_BACK: {"store": "witness", "away": "3 min", "stores_ok": "3", "stores_all": "3"},
    Kind.DEGRADED: {
        "what": "clock off by 1.4 s",
        "meaning": "this node does not take over until it is mended",
        "fix": "timedatectl status",
    },
    Kind.RECOVERED: {
        "what": "it is cool enough again",
        "lasted": "12 min",
        "reason": "61 °C in cpu-thermal",
    },
    Kind.ERROR: {
        "what": "cannot write the journal",
        "error": "[Errno 28] No space left on device",
        "meaning": "orders are journalled in the lease stores only",
        "fix": "free some disk space: df -h",
    },
    Kind.DRILL_PASSED: {
        "drill": "plug",
        "summary": "plug of jetson: raspberrypi was ready after 6.4 s",
        "phases": "granted 6.2 s; reconciled, trading 6.4 s; alert delivered 7.1 s",
        "by": "ada on raspberrypi",
    },
    Kind.DRILL_FAILED: {
        "drill": "crash",
        "summary": "crash of jetson: late: reconciled, trading 9.8 s, at most 7.1 s",
        "phases": "granted 6.2 s; reconciled, trading 9.8 s; alert delivered 10.4 s",
        "problems": "",
        "by": "ada on raspberrypi",
    },
    Kind.TEST: {"by": "ada@laptop"},
}


def sample(kind: Kind, *, number: int = 1) -> Row:
    # No spare is left in the takeover of this story, so a person should look.
    verdict = Verdict.LOOK if kind is Kind.TOOK_OVER else KIND_RULES[kind].verdict
    event = build_event(f"{kind.value}:{number}", kind, verdict=verdict, facts=FACTS[kind])
    return Row(number=number, events=(event,))


def special_rows() -> Mapping[str, tuple[Row, int, int]]:
    """Name -> row, age in ms, dropped: the cases beyond one fresh event of each kind."""
    bare = Row(number=1, events=(build_event("took_over:7", Kind.TOOK_OVER),))
    planned = build_event(
        "took_over:8",
        Kind.TOOK_OVER,
        verdict=Verdict.NOTHING_TO_DO,
        epoch=8,
        facts={
            **TAKEOVER,
            "gap_s": "0.2",
            "reason": "planned switchover, asked for by ada@laptop",
            "position_after": "1.20 ETH",
            "fills_in_gap": "none",
            "orders_cancelled": "0",
            "spare": "yes, jetson",
        },
    )
    first = build_event(
        "took_over:1",
        Kind.TOOK_OVER,
        verdict=Verdict.NOTHING_TO_DO,
        epoch=1,
        facts={
            "variant": "first_start",
            **{k: v for k, v in TAKEOVER.items() if k not in BEFORE},
            "position_after": "0 ETH",
            "fills_in_gap": "none",
            "orders_kept": "0",
            "orders_cancelled": "0",
            "protection": "nothing, no orders rest there",
            "spare": "jetson is ready",
        },
    )
    lost = tuple(
        build_event(
            f"store_lost:{second}",
            Kind.STORE_LOST,
            wall_ms=1_800_000_000_000 + 1000 * second,
            facts=FACTS[Kind.STORE_LOST],
            collapse_key="store_lost",
        )
        for second in range(7, 13)
    )
    hostile = build_event(
        "error:hostile",
        Kind.ERROR,
        facts={
            "what": "<b>bold</b> & {error} \u202egnp.exe\x00\x1b[31m\r\nsecond line",
            "error": "x < y && y > z </b><script>" + "\ud800" + "…" * 700,
            "unlisted_fact": "is shown at the end",
        },
    )
    unset = build_event("startup:1", Kind.STARTUP, wall_ms=5_000, facts={"role": "standby"})
    return {
        "took_over_late_and_repeated": (
            replace(sample(Kind.TOOK_OVER), state=RowState.RESENDING, attempt=2),
            14 * 60_000,
            0,
        ),
        "took_over_facts_missing": (bare, 0, 0),
        "took_over_first_start": (Row(number=1, events=(first,)), 0, 0),
        "took_over_planned": (Row(number=1, events=(planned,)), 0, 0),
        "store_lost_12_times": (Row(number=1, events=lost, count=12), 0, 3),
        "error_hostile_values": (Row(number=1, events=(hostile,)), 0, 0),
        "startup_clock_not_set": (Row(number=1, events=(unset,)), 0, 0),
    }

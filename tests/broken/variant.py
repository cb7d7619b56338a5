"""What a broken rule is here, and the weathers in which breaks are looked for.

A `Variant` takes one rule away by editing the text that holds it (`tests/support/edited.py`), and
says how that is noticed: by a seed of the simulation, or by tests that then fail. Some parts of the
code are not needed by any promise on their own; a `Kept` says so, with the reason why they stay.

Rules of this file: values only. The variants are in the files beside it, one family a file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from election.model import LeaseTiming
from tests.support.edited import Edit
from tests.support.lease_weather import Bounds, Weather, calm

SIM = "tests/support/lease_process.py"  # what stands in for the node: work loop, disk, orders


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """One kind of run; `words` for the docs."""

    words: str
    weather: Weather
    timing: LeaseTiming = LeaseTiming()  # noqa: RUF009  (frozen)
    bounds: Bounds = Bounds()  # noqa: RUF009  (frozen)


@dataclass(frozen=True, slots=True, kw_only=True)
class InWeather:
    """Noticed by the simulation.

    `seed` is the first one from 0 on that shows it, `shows` a part of what is then said; it must
    be found within `within` seeds. `setup` names one of `SETUPS`.
    """

    setup: str
    stores: int
    seed: int
    within: int
    shows: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ByTests:
    """Noticed by tests: at least one of these fails with the rule broken. Arguments of pytest."""

    tests: tuple[str, ...]
    needs_server: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Not needed by S1, S2 or a bound on its own: the reason why it stays."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One rule broken.

    `rules` are numbers of docs/lease-rules.md, counter-examples H1-H18 or pitfalls; `removed` and
    `harm` are sentences for people: what is taken away, and what goes wrong then.
    """

    name: str
    rules: str
    removed: str
    harm: str
    edits: tuple[Edit, ...]
    proof: InWeather | ByTests | Kept


# Legal, and as close to the edge as `LeaseTiming` allows: little guard, answers count for seconds.
# What the default timing's slack would forgive shows here.
TIGHT = LeaseTiming(renew_ms=500, request_timeout_ms=4000, guard_ms=100)
EDGE = LeaseTiming(renew_ms=500, request_timeout_ms=800, guard_ms=20, observe_ms=200)

_STEADY = calm(Weather())
# Messages and orders arrive at once; what happens besides is said by each weather.
_GOOD_LINKS = Weather(lost=0.0, slow=0.0, duplicated=0.0, order_slow=0.0)

SETUPS: Mapping[str, Setup] = {
    "hostile": Setup(words="every fault, one every 2.5 s, 40 s, default timing", weather=Weather()),
    "tight": Setup(
        words="every fault, messages up to 4 s late, 60 s, timing without slack",
        weather=Weather(lost=0.0, slow=0.1, slow_max_s=4.0, duration_s=60.0),
        timing=TIGHT,
    ),
    "late": Setup(
        words="late and doubled messages, switchovers, rollbacks, 60 s",
        weather=Weather(
            lost=0.02,
            slow=0.4,
            slow_max_s=8.0,
            duplicated=0.4,
            fault_every_s=2.0,
            duration_s=60.0,
            faults=("switchover", "switchover", "switchover", "roll_back", "kill", "pause", "cut"),
        ),
        timing=LeaseTiming(guard_ms=100),
    ),
    "wipes": Setup(
        words="every store forgets at once, nodes die and are cut off in turns, 60 s",
        weather=Weather(
            fault_every_s=2.0,
            duration_s=60.0,
            faults=("flush_all", "flush_twice", "kill", "cut_box", "switchover", "restart_store"),
        ),
    ),
    "slewed": Setup(
        words="clocks 2 % off and slewed by 10 % (the most a kernel allows), boxes cut off, 60 s",
        weather=Weather(
            slew=0.1,
            is_extreme=True,
            fault_every_s=3.0,
            duration_s=60.0,
            lost=0.0,
            slow=0.0,
            faults=("slew", "slew", "cut_box", "cut_box", "switchover"),
        ),
        timing=EDGE,
    ),
    "slewed and paused": Setup(
        words="clocks 2 % off and slewed by 8 %, processes paused in the middle of requests, 60 s",
        weather=Weather(
            slew=0.08,
            is_extreme=True,
            fault_every_s=3.0,
            duration_s=60.0,
            lost=0.0,
            slow=0.0,
            order_slow=0.9,
            faults=("slew", "pause", "pause"),
        ),
        timing=LeaseTiming(renew_ms=250, observe_ms=100, guard_ms=2000),
    ),
    "paused": Setup(
        words="requests slow to be answered, processes paused, switchovers, 60 s",
        weather=Weather(
            fault_every_s=2.5,
            duration_s=60.0,
            lost=0.0,
            slow=0.0,
            order_slow=0.9,
            faults=("pause", "pause", "switchover", "cut_box"),
        ),
        timing=LeaseTiming(renew_ms=500, guard_ms=2000),
    ),
    "late orders": Setup(
        words="orders up to 8 s under way, boxes cut off, switchovers, 60 s, timing without slack",
        weather=Weather(
            is_extreme=True,
            fault_every_s=4.0,
            duration_s=60.0,
            lost=0.0,
            slow=0.0,
            slow_max_s=8.0,
            order_slow=0.8,
            faults=("cut_box", "cut_box", "switchover"),
        ),
        timing=LeaseTiming(renew_ms=500, request_timeout_ms=800, guard_ms=100, observe_ms=100),
    ),
    "lost answers": Setup(
        words="every fifth message lost, timeouts of 4 s, boxes cut off and paused, 60 s",
        weather=Weather(
            lost=0.2,
            slow=0.05,
            slow_max_s=4.0,
            fault_every_s=4.0,
            duration_s=60.0,
            faults=("cut_box", "cut", "pause", "switchover", "kill"),
        ),
        timing=TIGHT,
    ),
    "fallbacks": Setup(
        words="switchovers, and stores that fall back to what they were at that moment, 60 s",
        weather=Weather(
            lost=0.0,
            slow=0.1,
            slow_max_s=6.0,
            duplicated=0.1,
            fault_every_s=4.0,
            duration_s=60.0,
            faults=("switchover", "switchover", "switchover", "roll_back"),
        ),
    ),
    "abandoned": Setup(
        words="slow and doubled messages, nodes unfit for moments, switchovers, 60 s",
        weather=Weather(
            lost=0.0,
            slow=0.5,
            slow_max_s=4.0,
            duplicated=0.7,
            fault_every_s=0.7,
            duration_s=60.0,
            faults=("unfit", "unfit", "unfit", "switchover"),
        ),
        timing=LeaseTiming(guard_ms=100),
    ),
    "backward": Setup(
        words="clocks jump back, boxes are cut off, 60 s",
        weather=Weather(
            fault_every_s=2.0,
            duration_s=60.0,
            faults=("clock_back", "clock_back", "cut_box", "cut_box", "cut"),
        ),
        timing=EDGE,
    ),
    "two ttls": Setup(
        words="ttl 12 s on one box and 6 s on the other, wipes and cuts, 60 s",
        weather=Weather(
            ttl_ms=(12000, 6000),
            duration_s=60.0,
            lost=0.0,
            slow=0.0,
            faults=("cut_box", "flush_and_cut", "switchover"),
        ),
    ),
    "copied card": Setup(
        words="both boxes bear the same node id, every fault, 40 s",
        weather=Weather(has_one_id=True),
    ),
    "unfit machine": Setup(
        words="a store revived from a memory snapshot (not promised), judged by the overlap",
        weather=Weather(
            lost=0.0, slow=0.0, faults=("revive", "cut_box", "cut_box"), fault_every_s=3.0
        ),
        bounds=Bounds(overlap_s=2.0),
    ),
    "steady": Setup(
        words="no fault at all, 40 s; judged by the time without a leader",
        weather=_STEADY,
        bounds=Bounds(leaderless_s=0.1, leaderless_from_s=14.0),
    ),
    "two of three": Setup(
        words="cold start of both boxes with one store down, no other fault",
        weather=replace(
            _GOOD_LINKS,
            fault_every_s=1e9,
            down="z",
            duration_s=40.0,
        ),
        bounds=Bounds(leaderless_s=11.5),
    ),
    "switchovers": Setup(
        words="nothing but switchovers, 60 s; judged by the time without a leader",
        weather=replace(
            _GOOD_LINKS,
            fault_every_s=6.0,
            duration_s=60.0,
            faults=("switchover",),
        ),
        bounds=Bounds(leaderless_s=3.2, leaderless_from_s=14.0),
    ),
    "store faults": Setup(
        words="stores restart and forget over good links, 60 s; time without a leader",
        weather=replace(
            _GOOD_LINKS,
            fault_every_s=8.0,
            duration_s=60.0,
            faults=("restart_store", "flush"),
        ),
        bounds=Bounds(leaderless_s=0.1, leaderless_from_s=None),
    ),
    "after the storm": Setup(
        words="every fault for 40 s, then calm; somebody leads again, and stays",
        weather=Weather(duration_s=100.0, calm_from_s=40.0),
        bounds=Bounds(leaderless_s=0.1, leaderless_from_s=80.0),
    ),
    "outages": Setup(
        words="one box after the other cut off or killed; time without a leader",
        weather=Weather(
            lost=0.05,
            slow=0.0,
            duplicated=0.0,
            order_slow=0.0,
            fault_every_s=20.0,
            duration_s=90.0,
            faults=("kill",),
        ),
        bounds=Bounds(leaderless_s=32.0),
    ),
    "hangs": Setup(
        words="work loops hang for up to 30 s; judged by how long a hung holder leads and lives",
        weather=Weather(
            lost=0.0,
            slow=0.0,
            duplicated=0.0,
            fault_every_s=10.0,
            duration_s=80.0,
            long_max_s=30.0,
            faults=("hang",),
        ),
        bounds=Bounds(hung_s=10.3, hung_alive_s=11.6),
    ),
    "robbers": Setup(
        words="three stores, one box keeps one of them, the other box the rest; votes stolen",
        weather=Weather(
            lost=0.0,
            slow=0.0,
            fault_every_s=8.0,
            faults=("crossed", "cut_all_but_one"),
            duration_s=60.0,
        ),
        bounds=Bounds(stolen=0),
    ),
    "lossy": Setup(
        words="links that lose every tenth message, no other fault; renewals refused",
        weather=Weather(
            lost=0.1, slow=0.0, duplicated=0.0, order_slow=0.0, fault_every_s=1e9, duration_s=60.0
        ),
        bounds=Bounds(refused_own=0),
    ),
    "cut off": Setup(
        words="boxes cut off, nothing else; judged by healthy processes that the fence kills",
        weather=Weather(
            lost=0.0, slow=0.0, fault_every_s=3.0, duration_s=60.0, faults=("cut_box", "slew")
        ),
        bounds=Bounds(healthy_kills=0),
    ),
    "growing": Setup(
        words="a pair grows from one store to three, steps at random, every fault, 90 s",
        weather=Weather(grows="hasty", duration_s=90.0),
    ),
    "growing fast": Setup(
        words="a pair grows, all at once after a while, over good links; slow orders, switchovers",
        weather=Weather(
            grows="hurried",
            lost=0.0,
            slow=0.0,
            duplicated=0.0,
            order_slow=0.9,
            slow_max_s=5.0,
            fault_every_s=2.0,
            duration_s=50.0,
            faults=("switchover",),
        ),
    ),
    "growing apart": Setup(
        words="a pair grows, steps at random, each box cut off from other stores, 60 s",
        weather=replace(
            _GOOD_LINKS,
            grows="hasty",
            fault_every_s=4.0,
            duration_s=60.0,
            faults=("crossed", "crossed", "cut_all_but_one", "switchover"),
        ),
    ),
    "growing in peace": Setup(
        words="a pair grows from one store to three as it should, nothing else happens, 70 s",
        weather=replace(_STEADY, grows="orderly", faults=(), duration_s=70.0),
        bounds=Bounds(leaderless_s=3.2, leaderless_from_s=None, grows=True),
    ),
}

"""Who is spare, and whether anybody trades: a pause takes no spare, a long takeover trades not."""

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from alerts.changes import Row
from alerts.model import Kind, Verdict
from alerts.render import NOT_KNOWN, render_instant, render_row
from election.control_record import ControlRecord
from election.model import StoreBack, StoreLost, StoreName
from election.quorum import Quorum
from exchange.findings import Findings
from exchange.journal import Change, Journal
from node.box_watch import BoxWatch
from node.config_box import DeadmanConfig, HealthConfig
from node.config_model import Topology
from node.health import Health
from node.latches import PAUSE, STORES, Latches
from node.overseer import Overseer
from node.parts import NodeParts
from node.role import Role
from node.takeover import TakeoverReport
from node.teller import Teller
from node.watch import Member
from tests.support.trading_rig import Ear, Rig, buy, wanting

QUORUM = Quorum(tuple(StoreName(n) for n in ("pi", "jetson", "witness")))


class QuietBox:
    """The box by shape: nothing happens to it."""

    async def step(self, now_s: float) -> None:
        """Nothing to look at."""

    async def remember_trading(self) -> None:
        """Nothing to remember."""


class World:
    """One node's view of the other one."""

    def __init__(self, rig: Rig, role: Role, *, is_spare_preferred: bool = False) -> None:
        self.now_s, self.ear = 1000.0, Ear()
        self.health = Health(role=role, is_ready=True, venue_error="", reasons=())
        self.peer = Member(node_id="raspberrypi", age_s=0.5, role="standby", reasons=())
        self.latches = rig.watch.latches
        watch = SimpleNamespace(
            latches=self.latches,
            has_looked=True,
            members={},
            stores_answered=QUORUM.stores,
            peers=lambda: {"raspberrypi": self.peer},
            unreadable=(),
        )
        self.watch = watch
        preferred = "raspberrypi" if is_spare_preferred else "jetson"
        profile = SimpleNamespace(value="test")
        strategies = (SimpleNamespace(use="grid", symbols=("ETH/USDT",)),)
        stores = tuple(SimpleNamespace(name=n, host="store") for n in QUORUM.stores)
        config = SimpleNamespace(
            timing=lambda: SimpleNamespace(takeable_after_s=6.0),
            health=HealthConfig(),
            deadman=DeadmanConfig(),
            lease=SimpleNamespace(ttl_ms=6000),
            cluster=SimpleNamespace(
                preferred_node=preferred,
                profile=profile,
                topology=Topology.THREE_STORES,
                grown_from=None,
            ),
            label_of=lambda name: name,
            nodes=dict.fromkeys(("jetson", "raspberrypi"), SimpleNamespace(host=None)),
            stores=stores,
            quorum=QUORUM,
            strategies=strategies,
            venue=SimpleNamespace(read_budget_s=4.0, exchange="paper"),
        )
        self.config = config
        parts = SimpleNamespace(
            config=config,
            node_id="jetson",
            identity=SimpleNamespace(nonce="n1"),
            heartbeat=SimpleNamespace(view=lambda: SimpleNamespace(longest_gap_s=1.0)),
            health=self.health,
            relies_on_promise=lambda: self.relies_on_promise,
            peer_reasons=tuple,
            watch=watch,
            fresh_s=5.0,
            pingers={},
            moves=SimpleNamespace(load=tuple),
            load_backup_note=lambda: None,
            disk=rig.disk,
            fingerprint="f1",
            teller=Teller(self.ear, cluster="c", node_id="jetson", epoch=lambda: 1),
            wall_ms=lambda: int(self.now_s * 1000),
            monotonic_s=lambda: self.now_s,
        )
        self.relies_on_promise: bool = False
        self.overseer = Overseer(cast("NodeParts", parts))
        self.overseer.box = cast("BoxWatch", QuietBox())

    async def watch_for(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now_s += 1
            await self.overseer.step(None, None)

    def told(self, kind: Kind) -> str:
        """Return the message of the only event of this kind."""
        (event,) = [e for e in self.ear.events if e.kind is kind]
        return render_row(Row(number=1, events=(event,)), wall_ms=int(self.now_s * 1000)).plain

    def peer_is(self, role: str = "standby", *reasons: str, age_s: float = 0.5) -> None:
        self.peer = Member(node_id="raspberrypi", age_s=age_s, role=role, reasons=reasons)


async def world(role: Role = Role.ACTIVE, *, is_spare_preferred: bool = False) -> World:
    rig = Rig()
    await rig.watch.put("cluster", {"born_ms": 0}, reason="test")
    return World(rig, role, is_spare_preferred=is_spare_preferred)


def latch(*, is_paused: bool, at_ms: int) -> Latches:
    record = ControlRecord(
        kind=PAUSE,
        version=at_ms,
        value={"is_paused": is_paused},
        by="eva@laptop",
        at_ms=at_ms,
        reason="lunch",
    )
    return Latches(records={PAUSE: record}, is_complete=True)


def report(**changes: object) -> TakeoverReport:
    plain = TakeoverReport(
        gap_s=6.4,
        was_whole_cluster_off=False,
        was_handed_over=False,
        is_first_start=False,
        off_since_ms=None,
        reason="raspberrypi was silent for 6.1 s",
        previous="raspberrypi",
        position_before="0 ETH/USDT",
        position_after="1 ETH/USDT",
        fills_in_gap="none",
        orders_kept=1,
        orders_cancelled=0,
        orders_unclear=0,
        adopted=1,
        resting="1 buy and 0 sell orders rest there",
        findings=Findings(journal=Journal(), change=Change()),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


async def test_a_spare_that_goes_and_comes_is_told_once_each() -> None:
    """L1: with nobody to take over, the next failure stops trading."""
    node = await world()
    node.overseer.spare.reset(has_spare=True)
    node.peer_is(age_s=9.0)
    await node.watch_for(20)
    node.peer_is()
    await node.watch_for(20)
    assert node.ear.kinds() == [Kind.SPARE_LOST, Kind.SPARE_BACK]
    assert "no spare: raspberrypi is gone" in node.told(Kind.SPARE_LOST)
    assert "Last seen 9 s ago." in node.told(Kind.SPARE_LOST)
    assert "look at power and network of raspberrypi" in node.told(Kind.SPARE_LOST)
    assert "It was away for 20 s." in node.told(Kind.SPARE_BACK)


async def test_a_spare_that_is_there_but_not_fit_is_told_with_its_reason() -> None:
    """L1: its own words say what to mend."""
    node = await world()
    node.overseer.spare.reset(has_spare=True)
    node.peer_is("standby", "clock: off by 3 s")
    await node.watch_for(20)
    assert node.ear.kinds() == [Kind.SPARE_LOST]
    assert "no spare: raspberrypi is not fit" in node.told(Kind.SPARE_LOST)
    assert "Why: clock: off by 3 s." in node.told(Kind.SPARE_LOST)


async def test_a_pause_takes_no_spare_away() -> None:
    """Both nodes stop for the same reason: that is no loss of a spare."""
    node = await world()
    node.overseer.spare.reset(has_spare=True)
    node.peer_is("standby", "the cluster is paused: lunch (by eva)")
    await node.watch_for(20)
    assert Kind.SPARE_LOST not in node.ear.kinds()


async def test_a_takeover_that_lasts_is_told_by_the_node_that_is_at_it() -> None:
    """S5: a venue that is away during a takeover must not be silence."""
    node = await world(Role.TAKEOVER)
    node.health.reasons = ("venue: VenueUnavailable: no answer",)
    await node.watch_for(60)
    text = node.told(Kind.NOBODY_TRADES)
    # The silence began with the first look; it is told after the patience.
    for word in ("Since ", "Position: none", "no orders rest there", "VenueUnavailable"):
        assert word in text
    other = await world(Role.STANDBY)
    other.peer_is("takeover")
    await other.watch_for(60)
    assert Kind.NOBODY_TRADES not in other.ear.kinds()


async def test_a_quick_failover_is_no_silence() -> None:
    """A takeover within the patience needs no alarm."""
    node = await world(Role.STANDBY)
    node.peer_is("active")
    await node.watch_for(5)
    node.peer_is("gone", age_s=9.0)
    node.health.role = Role.TAKEOVER
    await node.watch_for(8)
    node.health.role = Role.ACTIVE
    await node.watch_for(30)
    assert Kind.NOBODY_TRADES not in node.ear.kinds()


@pytest.mark.parametrize(
    ("role", "age_s", "spare"),
    [
        ("active", 0.5, "Spare: jetson, once it is fit; raspberrypi trades."),
        ("standby", 0.5, "Spare: nobody trades yet; besides jetson there is raspberrypi."),
        ("active", 60.0, "Spare: none, no other node is there yet."),
    ],
    ids=["beside a holder", "beside another that waits", "alone"],
)
async def test_a_start_is_told_with_what_it_found(role: str, age_s: float, spare: str) -> None:
    """Version, venue, strategies, stores, what one loss means, and who is spare."""
    node = await world(Role.STANDBY)
    node.peer_is(role, age_s=age_s)
    node.health.account = "42"
    await node.overseer.tell_started()
    text = node.told(Kind.STARTUP)
    for word in ("jetson started as standby", "paper, account 42", "grid on ETH/USDT", spare):
        assert word in text
    assert "Lease stores: pi, jetson, witness." in text
    assert NOT_KNOWN not in text


async def test_a_pause_and_its_end_are_told_once_each_by_whoever_speaks() -> None:
    """Who, why, and for how long; the node that does not speak says nothing."""
    for role, peer, is_told in ((Role.ACTIVE, "standby", True), (Role.STANDBY, "active", False)):
        node = await world(role)
        node.peer = node.peer._replace(node_id="a-first", role=peer)
        node.overseer.spare.reset(has_spare=True)
        node.watch.peers = lambda node=node: {"a-first": node.peer}
        await node.watch_for(2)
        node.watch.latches = latch(is_paused=True, at_ms=1_000)
        await node.watch_for(3)
        node.watch.latches = latch(is_paused=False, at_ms=61_000)
        await node.watch_for(3)
        assert node.ear.kinds() == [Kind.PAUSED, Kind.RESUMED] * is_told
        if is_told:
            assert "By: eva@laptop. Why: lunch." in node.told(Kind.PAUSED)
            assert "Paused for 60 s." in node.told(Kind.RESUMED)


async def test_a_latch_record_that_cannot_be_read_is_told_once() -> None:
    """Not in the log alone: a pause may hang on it."""
    node = await world()
    node.overseer.spare.reset(has_spare=True)
    node.watch.unreadable = ("store pi: control record pause: not JSON",)
    await node.watch_for(5)
    assert node.ear.kinds() == [Kind.DEGRADED]
    text = node.told(Kind.DEGRADED)
    for word in ("store pi: control record pause", "fill the gap", "What mends it"):
        assert word in text


@pytest.mark.parametrize(("crash_loop", "messages"), [("", 1), ("it ended 3 times", 0)])
async def test_a_node_that_crashed_too_often_is_told_of_once_only(
    crash_loop: str, messages: int
) -> None:
    """Its own message names the cure; "this node cannot take over" beside it would be noise."""
    node = await world(Role.STANDBY)
    node.health.crash_loop, node.health.reasons = crash_loop, ("venue: no answer",)
    node.peer_is("active")
    await node.watch_for(60)
    assert node.ear.kinds() == [Kind.DEGRADED] * messages


async def test_the_preferred_node_that_is_fit_again_is_told_once_and_nothing_moves() -> None:
    """R15: no automatic failback; after it was well for a while a person may hand over."""
    node = await world(is_spare_preferred=True)
    node.overseer.spare.reset(has_spare=True)
    await node.watch_for(500)
    assert node.ear.kinds() == []
    await node.watch_for(500)
    assert node.ear.kinds() == [Kind.PREFERRED_FIT]
    text = node.told(Kind.PREFERRED_FIT)
    assert "raspberrypi is fit again, jetson goes on trading" in text
    assert "Fit for 600 s." in text


async def test_a_store_that_goes_and_comes_is_told_with_what_it_means() -> None:
    """One of three is a matter of minutes, two of three stop the holder."""
    node = await world()
    for name in ("pi", "witness"):
        lost = StoreLost(name=StoreName(name), error="connection refused")
        await node.overseer.stores.note(lost)
    node.now_s += 30
    await node.overseer.stores.note(StoreBack(name=StoreName("witness")))
    assert node.ear.kinds() == [Kind.STORE_LOST, Kind.STORE_LOST, Kind.STORE_BACK]
    first, second, back = node.ear.events
    assert (first.verdict, second.verdict) == (Verdict.LOOK, Verdict.ACT)
    assert first.facts["meaning"] == "trading goes on"
    assert (first.facts["stores_ok"], second.facts["stores_ok"]) == ("2", "1")
    assert first.facts["fix"].startswith("look at power and network of pi")
    assert (back.facts["away"], back.facts["stores_ok"]) == ("30 s", "2")


async def test_while_the_pair_grows_the_old_store_alone_stops_the_holder() -> None:
    """Two of three are left and decide nothing; a new store that is lost costs nothing."""
    for name, verdict in (("pi", Verdict.ACT), ("witness", Verdict.LOOK)):
        node = await world()
        node.config.quorum = replace(QUORUM, needed=StoreName("pi"))
        await node.overseer.stores.note(StoreLost(name=StoreName(name), error="refused"))
        assert [event.verdict for event in node.ear.events] == [verdict], name


async def test_nobody_trades_for_want_of_the_one_store_that_is_needed() -> None:
    """The reason names the stores, not the other node; by the board and by the lease alike."""
    for answered, lost, words in (
        (("jetson", "witness"), (), "too few lease stores answer"),
        (("pi", "jetson"), ("pi",), "too few lease stores are usable here; store pi: refused"),
        (("pi", "jetson"), ("jetson", "witness"), "too few lease stores are usable here"),
        (("pi", "jetson"), ("witness",), "this node waits for the lease"),
    ):
        node = await world(Role.STANDBY)
        node.config.quorum = replace(QUORUM, needed=StoreName("pi"))
        node.peer_is("active")
        await node.watch_for(5)
        node.peer_is("gone", age_s=60.0)
        node.watch.stores_answered = tuple(StoreName(n) for n in answered)
        for name in lost:
            await node.overseer.stores.note(StoreLost(name=StoreName(name), error="refused"))
        await node.watch_for(60)
        (event,) = [e for e in node.ear.events if e.kind is Kind.NOBODY_TRADES]
        assert words in event.facts["reason"], (answered, lost)


async def test_the_old_stores_other_list_is_told_to_nobody() -> None:
    """It is what the last step of growing moves; what is really lost is told, and its return."""
    node = await world()
    value = {"config_id": "new", "was": "0ld", "grown_from": "pi", "is_announced": False}
    record = ControlRecord(kind=STORES, version=1, value=value, by="me", at_ms=0, reason="")
    node.config.config_id = "new"
    node.watch.latches = replace(node.latches, records={STORES: record})
    for name, error in (("pi", "written under config id 0ld"), ("witness", "refused")):
        await node.overseer.stores.note(StoreLost(name=StoreName(name), error=error))
        await node.overseer.stores.note(StoreBack(name=StoreName(name)))
    assert [e.kind for e in node.ear.events] == [Kind.STORE_LOST, Kind.STORE_BACK]
    assert {e.facts["store"] for e in node.ear.events} == {"witness"}
    await node.overseer.stores.note(StoreLost(name=StoreName("pi"), error="refused"))
    assert node.ear.events[-1].facts["store"] == "pi"


async def test_a_failover_is_told_with_its_gap_and_its_spare() -> None:
    """Red thread of the message: gap, positions, orders, who is spare now."""
    node = await world()
    await node.overseer.tell_took_over(7, report())
    text = node.told(Kind.TOOK_OVER)
    for word in ("jetson trades now, gap 6.4 s", "raspberrypi is ready", "0 ETH/USDT → 1"):
        assert word in text
    assert NOT_KNOWN not in text


async def test_the_first_start_of_a_cluster_speaks_of_no_gap() -> None:
    """The owner's first message says what is known."""
    node = await world()
    await node.overseer.tell_took_over(
        1, report(gap_s=None, is_first_start=True, previous="nobody")
    )
    text = node.told(Kind.TOOK_OVER)
    assert "jetson trades now, first start" in text
    assert NOT_KNOWN not in text


async def test_a_return_after_a_power_cut_says_since_when_nobody_ran() -> None:
    """One message, with both ends of the gap."""
    node = await world()
    await node.overseer.tell_took_over(
        3, report(gap_s=2460.0, was_whole_cluster_off=True, off_since_ms=1_799_997_540_000)
    )
    assert node.ear.kinds() == [Kind.BOTH_WERE_OFF]
    assert "From 2027-01-15 07:19:00 UTC to " in node.told(Kind.BOTH_WERE_OFF)


async def test_giving_up_says_when_the_last_order_left() -> None:
    """Together with what rests at the venue and who trades next."""
    node = await world()
    rig = Rig()
    rig.asked.answer = wanting(buy("b1"))
    await rig.start()
    await node.overseer.tell_gave_up(1, "the lease lapsed", rig.trader)
    assert node.ear.events[0].facts["last_order"] == "none in this epoch"
    node.ear.events.clear()
    await rig.turn()
    await node.overseer.tell_gave_up(1, "the lease lapsed", rig.trader)
    text = node.told(Kind.GAVE_UP)
    assert f"Last order sent: {render_instant(rig.trader.last_order_ms)}." in text
    for word in ("Why: the lease lapsed", "at the venue: 1.", "Who trades next: raspberrypi"):
        assert word in text

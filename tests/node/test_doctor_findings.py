"""The doctor's checks: health yields nothing; each trouble yields its finding and its fix."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from election.member_record import parse_members
from election.model import StoreName
from node.config_model import Config
from node.doctor.findings import (
    CHECKS,
    DoctorFacts,
    Finding,
    Level,
    check_nodes,
    list_findings,
)
from node.doctor.report import render_findings
from node.status import build_status
from node.status_model import NodeView, StatusView, StoreLine, Verdict
from tests.node.test_doctor_losses import SINGLE, THREE, TWO, config_of
from tests.support.status_cases import NOW_MS as PEEK_MS
from tests.support.status_cases import NOW_US, all_with, make_config, make_member, make_peek

DAY_MS = 86_400_000
NOW_MS = 1_800_000_000_000


def store_line(name: str, error: str = "") -> StoreLine:
    return StoreLine(
        name=name, address="", error=error, names="jetson", epoch=1, state="held", age_s=0.1,
        server="Redis 7",
    )  # fmt: skip


def facts_of(config: Config = THREE, **changes: object) -> DoctorFacts:
    status = StatusView(
        taken_wall_ms=NOW_MS,
        cluster_id=config.cluster_id,
        verdict=Verdict.TRADING,
        headline="jetson leads",
        holder="jetson",
        epoch=1,
        since_wall_ms=1,
        silent_s=None,
        takeover_in_s=None,
        is_paused=False,
        pause_reason="",
        is_loss_latched=False,
        spares=("raspberrypi",),
        nodes=(
            NodeView(node_id="jetson", label="jetson", role="leader"),
            NodeView(node_id="raspberrypi", label="raspberrypi", role="standby", is_spare=True),
        ),
        stores=tuple(store_line(store.name) for store in config.stores),
        strategies=(),
        fingerprint="",
        positions=(),
        orders=(),
        realised_today=None,
        daily_loss_limit=config.risk.daily_loss_limit,
        quote="USDT",
        last_takeover=None,
        topology="",
        remarks=(),
    )
    own = {
        key: value for key, value in changes.items() if key in {"longest_gap_ms", "last_drill_ms"}
    }
    rest = {key: value for key, value in changes.items() if key not in own}
    base = DoctorFacts(config=config, status=replace(status, **rest), last_drill_ms=NOW_MS - DAY_MS)  # type: ignore[arg-type]
    return replace(base, **own)  # type: ignore[arg-type]


def only(facts: DoctorFacts, area: str) -> Finding:
    (found,) = [f for f in list_findings(facts) if f.area == area]
    return found


def test_a_healthy_majority_has_nothing_to_mend() -> None:
    assert list_findings(facts_of()) == ()
    assert "nothing was found" in render_findings(())


def test_two_boxes_are_told_with_the_remedy_or_quietly() -> None:
    """The warning names the witness; accept_standby_risk turns it into a note."""
    loud = only(facts_of(TWO), "topology")
    assert (loud.level, "witness" in loud.fix) == (Level.LOOK, True)
    assert "losing raspberrypi stops trading" in loud.what
    accepted = TWO.model_copy(
        update={"cluster": TWO.cluster.model_copy(update={"accept_standby_risk": True})}
    )
    assert only(facts_of(accepted), "topology").level is Level.GOOD


def test_a_single_host_is_for_trying() -> None:
    assert "one machine" in only(facts_of(SINGLE), "topology").what


def test_a_silent_store_is_a_look_and_a_silent_majority_an_act() -> None:
    lines = [store_line(store.name) for store in THREE.stores]
    one = facts_of(stores=(*lines[:2], store_line("witness", "store witness: refused")))
    assert only(one, "stores").level is Level.LOOK
    away = ("raspberrypi", "witness")
    two = facts_of(stores=(lines[0], *(store_line(n, f"store {n}: refused") for n in away)))
    found = [f for f in list_findings(two) if f.area == "stores"]
    assert [f.level for f in found] == [Level.ACT, Level.ACT]


@pytest.mark.parametrize(("away", "level"), [("raspberrypi", Level.ACT), ("witness", Level.LOOK)])
def test_the_old_store_alone_stops_a_pair_that_grows(away: str, level: Level) -> None:
    """While every decision needs it; and that the pair is still on its way is a finding too."""
    cluster = THREE.cluster.model_copy(update={"grown_from": "raspberrypi"})
    growing = THREE.model_copy(update={"cluster": cluster})
    lines = [store_line(s.name, "refused" if s.name == away else "") for s in THREE.stores]
    found = [f for f in list_findings(facts_of(growing, stores=tuple(lines))) if f.area == "stores"]
    assert [f.level for f in found if f.what == "refused"] == [level]
    assert [f for f in found if "on its way from the store on raspberrypi" in f.what]


def test_three_stores_on_two_machines_are_no_majority() -> None:
    config = config_of("three-stores", "jetson", "raspberrypi", "extra")
    stores = tuple(
        s.model_copy(update={"host": "192.168.1.11", "port": 6380}) if s.name == "extra" else s
        for s in config.stores
    )
    found = only(facts_of(config.model_copy(update={"stores": stores})), "stores")
    assert found.level is Level.ACT
    assert "raspberrypi and extra are both on 192.168.1.11" in found.what


@pytest.mark.parametrize(
    ("verdict", "level"),
    [
        (Verdict.NOBODY, Level.ACT),
        (Verdict.UNKNOWN, Level.ACT),
        (Verdict.TRADING_ALONE, Level.LOOK),
    ],
)
def test_who_leads_is_a_finding_when_something_is_missing(verdict: Verdict, level: Level) -> None:
    assert only(facts_of(verdict=verdict), "lease").level is level


def test_a_node_that_cannot_take_over_is_named_with_its_reasons() -> None:
    sick = NodeView(node_id="raspberrypi", label="Pi", role="standby", reasons=("91 °C",))
    assert "Pi cannot take over: 91 °C" in only(facts_of(nodes=(sick,)), "nodes").what


def test_a_long_gap_between_heartbeats_is_found() -> None:
    """R8: above ttl/3."""
    assert list_findings(facts_of(longest_gap_ms={"jetson": 1999.0})) == ()
    assert "paused 2.4 s" in only(facts_of(longest_gap_ms={"jetson": 2400.0}), "timing").what


def test_a_pair_whose_failover_nobody_tried_is_noted() -> None:
    """No alarm: a note with what to type."""
    never = only(facts_of(last_drill_ms=None), "drills")
    old = only(facts_of(last_drill_ms=NOW_MS - 50 * DAY_MS), "drills")
    assert (never.level, old.level) == (Level.GOOD, Level.GOOD)
    assert "50 days ago" in old.what
    assert "nodectl drill plug" in old.fix


def test_the_worst_comes_first_and_every_finding_has_a_fix() -> None:
    sick = NodeView(node_id="raspberrypi", label="Pi", role="standby", reasons=("91 °C",))
    found = list_findings(
        facts_of(TWO, verdict=Verdict.NOBODY, nodes=(sick,), remarks=("odd",), last_drill_ms=None)
    )
    assert [f.level for f in found] == sorted((f.level for f in found), reverse=True)
    assert all(f.fix for f in found)
    assert len(CHECKS) >= 7


def test_a_pair_that_does_not_speak_directly_is_found() -> None:
    """R13: two nodes pointed at different servers would go undetected; a word accepts that."""
    nodes = {n: node.model_copy(update={"host": None}) for n, node in THREE.nodes.items()}
    silent = THREE.model_copy(update={"nodes": nodes})
    (found,) = list_findings(facts_of(silent))
    assert (found.level, found.area) == (Level.LOOK, "peer")
    assert "different store servers" in found.what
    cluster = THREE.cluster.model_copy(update={"accept_no_peer": True})
    assert list_findings(facts_of(silent.model_copy(update={"cluster": cluster}))) == ()


@pytest.mark.parametrize(
    ("body", "fix"),
    [
        ({"version": "0.0.9"}, "make upgrade"),
        ({"fingerprint": "other"}, "make deploy-strategy"),
        ({"account": "other"}, "keys of one account"),
        ({"config_id": "other"}, "same cluster.toml"),
        ({"peer": "x", "peer_error": "no route"}, "port 7373"),
    ],
)
def test_what_the_nodes_do_not_have_in_common_has_its_own_fix(
    tmp_path: Path, body: dict[str, Any], fix: str
) -> None:
    """From the words of the real status, so that a changed sentence does not lose its cure."""
    common: dict[str, Any] = {"version": "0.1.0", "fingerprint": "f", "account": "7"}
    told = {"jetson": common, "raspberrypi": {**common, **body}}
    members, _ = parse_members(
        {node: make_member("standby", **each) for node, each in told.items()},
        now_us=NOW_US,
        store=StoreName("jetson"),
    )
    seen = make_peek(*(replace(store, members=members) for store in all_with()))
    config = make_config(tmp_path)
    status = build_status(seen, config, now_wall_ms=PEEK_MS)
    found = [f for f in check_nodes(DoctorFacts(config=config, status=status)) if fix in f.fix]
    assert len(found) == 1, status.remarks

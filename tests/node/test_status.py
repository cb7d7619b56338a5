"""The status judged and rendered: golden outputs for what an owner may find at night."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.store_list import joint_text
from election.peek import StorePeek
from node.eligibility import EligibilityFacts, judge_eligibility
from node.status import build_status
from node.status_model import StatusView, Verdict
from node.status_nodes import PAUSED_REASON
from node.status_render import WIDTH, first_line, render_status
from tests.support.status_cases import (
    CASES,
    NOW_MS,
    THREE,
    TWO,
    all_with,
    holder_dead,
    make_config,
    make_control,
    make_down,
    make_ledger,
    make_member,
    make_peek,
    make_record,
    make_store,
)

GOLDEN = Path(__file__).parent / "golden"


def look(case: str, folder: Path) -> StatusView:
    """Build the view of a named case."""
    return judge(CASES[case][0](), folder)


def judge(seen: Sequence[StorePeek], folder: Path, text: str = THREE) -> StatusView:
    """Build the view of the given stores."""
    return build_status(make_peek(*seen), make_config(folder, text), now_wall_ms=NOW_MS)


def test_while_the_pair_grows_the_old_store_is_missed_by_name(tmp_path: Path) -> None:
    """Two of three answer and decide nothing: programs are told, too, which one is needed."""
    stores = [replace(s, is_needed=s.name == "raspberrypi") for s in all_with()]
    joint = joint_text(THREE, "raspberrypi")
    trading = judge(stores, tmp_path, joint)
    assert trading.verdict is Verdict.TRADING
    assert any("the pair grows from one store to three; next:" in r for r in trading.remarks)
    gone = replace(make_down("raspberrypi"), is_needed=True)
    seen = [gone if s.name == gone.name else s for s in stores]
    view = judge(seen, tmp_path, joint)
    assert (view.verdict, [s.name for s in view.stores if s.is_needed]) == (
        Verdict.UNKNOWN,
        ["raspberrypi"],
    )
    assert view.headline == "store raspberrypi does not answer, and every decision needs it now"


def check_golden(name: str, text: str) -> None:
    """Compare with the recorded output; HOTSPARE_GOLDEN=write records it anew."""
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("HOTSPARE_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("waiting", "verdict"),
    [
        ([], Verdict.TRADING),
        (["ETH/USDT"], Verdict.TRADING_ALONE),
        (["BTC/USDT", "ETH/USDT"], Verdict.NOBODY),
    ],
)
def test_a_strategy_that_waits_for_a_person_is_no_trading(
    waiting: list[str], verdict: Verdict, tmp_path: Path
) -> None:
    """Exit code 0 would say that all is well while it decides nothing."""
    members = {
        "jetson": make_member("active", unaccepted=waiting),
        "raspberrypi": make_member("standby"),
    }
    view = judge(all_with(members=members), tmp_path)
    assert view.verdict is verdict
    if waiting:
        assert waiting[0] in view.headline
        assert "nodectl resume --accept-strategy" in render_status(view)


@pytest.mark.parametrize("case", sorted(CASES))
def test_status_of_each_situation_is_as_recorded(case: str, tmp_path: Path) -> None:
    """Each situation has its recorded text and its exit code."""
    view = look(case, tmp_path)
    check_golden(f"status_{case}", render_status(view))
    assert view.verdict == CASES[case][1]


@pytest.mark.parametrize("case", sorted(CASES))
def test_status_fits_80_columns(case: str, tmp_path: Path) -> None:
    """No line is longer than 80 columns, and the first one is a single line."""
    view = look(case, tmp_path)
    text = render_status(view)
    assert max(len(line) for line in text.splitlines()) <= WIDTH
    assert text.splitlines()[0] == first_line(view)


def test_two_boxes_with_the_only_store_gone_says_what_that_means(tmp_path: Path) -> None:
    """Two boxes: without the store nobody can tell, and the topology sentence says why."""
    view = judge([make_down("raspberrypi")], tmp_path, TWO)
    check_golden("status_two_boxes_store_down", render_status(view))
    assert view.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(("age_s", "is_silent"), [(2.8, False), (2.81, True)])
def test_holder_counts_as_silent_after_two_renewals_and_a_timeout(
    age_s: float, is_silent: bool, tmp_path: Path
) -> None:
    """Silence begins after 2·renew + request_timeout, on both sides of the boundary."""
    seen = all_with(record=make_record("jetson", age_s=age_s))
    view = judge(seen, tmp_path)
    assert (view.silent_s is not None) is is_silent


def test_countdown_runs_to_the_takeover(tmp_path: Path) -> None:
    """While the holder is silent the status counts down from ttl·(1+d)."""
    view = judge(holder_dead(), tmp_path)
    assert view.takeover_in_s == pytest.approx(6.12 - 3.4, abs=0.01)


@pytest.mark.parametrize(("age_s", "is_spare"), [(5.0, True), (5.01, False)])
def test_a_standby_that_is_not_heard_is_no_spare(
    age_s: float, is_spare: bool, tmp_path: Path
) -> None:
    """A spare is fresh, standby and has no reason against it."""
    members = {"jetson": make_member("active"), "raspberrypi": make_member("standby", age_s=age_s)}
    view = judge(all_with(members=members), tmp_path)
    assert bool(view.spares) is is_spare


def test_a_majority_decides_who_holds(tmp_path: Path) -> None:
    """A store that names the old holder does not outvote two that name the new one."""
    new = make_record("raspberrypi", age_s=0.2, epoch=8)
    members = {"jetson": make_member("standby"), "raspberrypi": make_member("active")}
    seen = (
        make_store("jetson", members=members),
        make_store("raspberrypi", record=new, members=members),
        make_store("witness", record=new, members=members),
    )
    view = judge(seen, tmp_path)
    assert (view.holder, view.epoch, view.verdict) == ("raspberrypi", 8, Verdict.TRADING)


def test_nobody_is_named_when_the_stores_disagree(tmp_path: Path) -> None:
    """Without two equal answers nobody holds the lease."""
    seen = (
        make_store("jetson"),
        make_store("raspberrypi", record=make_record("raspberrypi", age_s=0.2, epoch=8)),
        make_store("witness", record=None),
    )
    view = judge(seen, tmp_path)
    assert (view.holder, view.verdict) == (None, Verdict.NOBODY)


def test_the_highest_version_of_a_latch_wins(tmp_path: Path) -> None:
    """A store with an older control record does not lift a pause."""
    paused = {k: v.replace('"version": 3', '"version": 4') for k, v in make_control().items()}
    paused["pause"] = paused["pause"].replace("false", "true")
    seen = (make_store("jetson", control=paused), *all_with()[1:])
    view = judge(seen, tmp_path)
    assert view.is_paused is True


def test_after_a_resume_no_reason_of_a_pause_is_left(tmp_path: Path) -> None:
    """The record that lifted the pause has a reason too: of no pause."""
    assert judge(all_with(), tmp_path).pause_reason == ""
    paused = {k: v.replace("false", "true") for k, v in make_control().items()}
    assert judge(all_with(control=paused), tmp_path).pause_reason


def test_what_a_box_warns_of_is_shown_and_makes_it_no_less_a_spare(tmp_path: Path) -> None:
    """A warning is no hindrance: status says both."""
    members = {
        "jetson": make_member("active"),
        "raspberrypi": make_member("standby", warnings=["the disk is 91 % full"]),
    }
    view = judge(all_with(members=members), tmp_path)
    assert view.verdict is Verdict.TRADING
    assert "  raspberrypi warns: the disk is 91 % full\n" in render_status(view)


def test_damaged_entries_are_named_and_do_not_hide_the_rest(tmp_path: Path) -> None:
    """What cannot be read is said; everything else is still shown."""
    broken = make_store(
        "jetson",
        members={"jetson": make_member("active"), "raspberrypi": "{"},
        control={**make_control(), "pause": "[]"},
        ledger={**make_ledger(), "position:BTC/USDT": "{}"},
    )
    view = judge((broken, *all_with()[1:]), tmp_path)
    said = "\n".join(view.remarks)
    assert "member record of raspberrypi" in said
    assert "control record pause" in said
    assert "position:BTC/USDT" in said
    assert (view.verdict, len(view.orders), len(view.positions)) == (Verdict.TRADING, 3, 1)


def test_differences_between_the_nodes_are_said(tmp_path: Path) -> None:
    """Another account, strategy, release or store list is visible at once."""
    members = {
        "jetson": make_member("active", account="1"),
        "raspberrypi": make_member(
            "standby", account="2", fingerprint="ffff", version="0.2.0", config_id="zz"
        ),
    }
    view = judge(all_with(members=members), tmp_path)
    said = "\n".join(view.remarks)
    assert all(word in said for word in ("account", "strategy", "release", "store list"))


def test_the_pause_reason_is_known_by_its_words() -> None:
    """status and eligibility must mean the same reason, or a paused pair looks spareless."""
    facts = EligibilityFacts(
        is_ready=True,
        is_paused=True,
        pause_reason="x",
        venue_error="",
        account="1",
        expected_account="1",
        clock_error_ms=1.0,
        clock_error_ms_max=500.0,
        list_ids=frozenset({"c"}),
        peer_list_ids=(),
        resource_reasons=(),
        journal_error="",
        fence_error="",
        fatal="",
    )
    (reason,) = judge_eligibility(facts)
    assert reason.startswith(PAUSED_REASON)

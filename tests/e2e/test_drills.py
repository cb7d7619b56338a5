"""Drills on a running pair: each kind is done, measured, judged, told, kept; the rest is refused.

Slack is generous: these tests are about what is seen and said, not about this machine's speed.
"""

import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from node.demo.stage import NODES, StagePlan
from tests.e2e.conftest import PairMaker
from tests.support.pair import JETSON, PI, BotApiThread, Pair, plan_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]
DRILLS = "[drills]\nslack_ms = 60000\n"


@pytest.fixture
def bot() -> Iterator[BotApiThread]:
    """A Bot API server of this test's own."""
    with BotApiThread() as running:
        yield running


def told_plan(bot: BotApiThread, **changes: Any) -> StagePlan:
    """The usual pair, whose alerts go to a Bot API server."""
    telegram = f'[telegram]\nchat_id = 42\napi_url = "http://127.0.0.1:{bot.api.port}"\n'
    token = f'[telegram]\ntoken = "{bot.api.token}"\n'
    return plan_of(
        extra_toml=telegram + DRILLS, secrets_toml=dict.fromkeys(NODES, token), **changes
    )


class Asked:
    """`nodectl drill ... --json` in the background, as somebody at another terminal."""

    def __init__(self, pair: Pair, *arguments: str) -> None:
        self._found: list[subprocess.CompletedProcess[str]] = []
        self._thread = threading.Thread(target=self._run, args=(pair, arguments), daemon=True)
        self._thread.start()

    def _run(self, pair: Pair, arguments: tuple[str, ...]) -> None:
        self._found.append(
            pair.stage.nodectl("drill", *arguments, "--yes", "--json", timeout_s=300)
        )

    def result(self) -> dict[str, Any]:
        """Wait for its end; return what it printed, with its exit code."""
        self._thread.join(330)
        (done,) = self._found
        assert done.stdout, done.stderr
        return {**json.loads(done.stdout), "exit_code": done.returncode, "said": done.stderr}


def phases(result: dict[str, Any]) -> dict[str, float | None]:
    return {name: after_s for name, after_s, _ in result["phases"]}


def judge_failover(pair: Pair, bot: BotApiThread, result: dict[str, Any], kind: str) -> None:
    """What every failover drill must show, whatever hurt the leader."""
    assert (result["exit_code"], result["outcome"]) == (0, "passed"), result
    seen = phases(result)
    granted, ready = seen["granted"], seen["reconciled, trading"]
    assert granted is not None
    assert ready is not None
    assert granted <= ready
    if kind in {"partition", "plug"}:
        # Nobody may take a lease of 3 s earlier (R6); after a crash a restarted process may give
        # its predecessor's lease back.
        assert granted > 3.0
    assert seen["alert delivered"] is not None
    assert any("each once, in the order of the epochs" in note for note in result["notes"])
    assert any(note.startswith("last order before") for note in result["notes"])
    # The leader tells it, once; the history of the cluster has it.
    pair.wait_told("drill_passed")
    assert sum("drill passed" in text for text in bot.api.texts) == 1
    history = json.loads(pair.stage.nodectl("drill", "history", "--json").stdout)
    assert [entry["kind"] for entry in history] == [kind]
    assert pair.epochs(PI)[-1] > pair.epochs(JETSON)[0]


def test_drill_crash(make_pair: PairMaker, bot: BotApiThread) -> None:
    """The leader kills itself with an order journalled; the spare accounts for it and goes on."""
    pair = make_pair(told_plan(bot))
    pair.open()
    asked = Asked(pair, "crash")
    assert pair.node(JETSON).wait(90.0) == -signal.SIGKILL
    pair.node(JETSON).start()
    judge_failover(pair, bot, asked.result(), "crash")
    (started,) = pair.events(JETSON, "drill.started")
    (order_id,) = re.findall(r"with order (\w+) in flight", started["reason"])
    assert pair.events(JETSON, "order.intended", client_order_id=order_id)
    pair.judge()


def test_drill_hang(make_pair: PairMaker, bot: BotApiThread) -> None:
    """R8: the work loop sleeps, renewals stop after the hang limit, the fence ends the process."""
    pair = make_pair(told_plan(bot))
    pair.open()
    asked = Asked(pair, "hang")
    assert pair.node(JETSON).wait(90.0) == -signal.SIGKILL
    pair.node(JETSON).start()
    result = asked.result()
    judge_failover(pair, bot, result, "hang")
    stopped = phases(result)["renewals stopped (after asking)"]
    assert stopped is not None
    assert stopped > 4
    (ended,) = pair.events(JETSON, "node.previous_end")
    assert "no progress" in ended["reason"] or "froze" in ended["reason"] or ended["reason"]
    pair.judge()


def test_drill_partition(make_pair: PairMaker, bot: BotApiThread) -> None:
    """R13: cut off from the others the leader stops by itself, before the other one begins."""
    pair = make_pair(told_plan(bot))
    pair.open()
    result = Asked(pair, "partition", "--for", "12s").result()
    judge_failover(pair, bot, result, "partition")
    assert "`nodectl drill plug` is the real thing" in result["said"]
    (ended,) = pair.events(JETSON, "drill.ended")
    back = pair.wait_event(JETSON, "role.changed", to="standby", since=1)
    assert back["ts"] < ended["ts"], "it was fenced and settled while it was still cut off"
    assert pair.events(JETSON, "lease.lapsed")
    pair.judge()


def test_drill_store(make_pair: PairMaker, bot: BotApiThread) -> None:
    """L1: one store of three is lost to both: nobody takes over, it is told, and it comes back."""
    pair = make_pair(told_plan(bot))
    pair.open()
    changes = pair.stage.role_changes(JETSON)
    result = Asked(pair, "store", "witness", "--for", "6s").result()
    assert (result["exit_code"], result["outcome"]) == (0, "passed"), result
    assert pair.stage.role_changes(JETSON) == changes
    for node in NODES:
        pair.wait_event(node, "drill.ended")
    pair.wait_told("store_lost")
    pair.wait_told("drill_passed")
    pair.judge()


def test_drill_switchover(make_pair: PairMaker, bot: BotApiThread) -> None:
    """R10: from the old leader's closed gate to the new one's trading, by the venue's clock."""
    pair = make_pair(told_plan(bot))
    pair.open()
    log = pair.stage.paper.log_path
    result = Asked(pair, "switchover", "--venue-log", str(log)).result()
    assert (result["exit_code"], result["outcome"]) == (0, "passed"), result
    ready = phases(result)["reconciled, trading"]
    assert ready is not None
    assert phases(result)["alert delivered"] is not None
    assert any("log requests.jsonl" in note for note in result["notes"])
    assert pair.is_active(PI)
    pair.judge()


def test_drill_plug(make_pair: PairMaker, bot: BotApiThread) -> None:
    """It waits for the person, measures from the last renewal, and waits until the node is back."""
    pair = make_pair(told_plan(bot))
    pair.open()
    asked = Asked(pair, "plug", "--node", PI)
    pair.wait(lambda: "drill" in pair.latches()[0], "the drill to be announced")
    pair.kill(JETSON)
    pair.wait_active(PI)
    pair.wait_told("took_over", PI)
    pair.start(JETSON)
    result = asked.result()
    judge_failover(pair, bot, result, "plug")
    assert "pull the plug of jetson now" in result["said"]
    assert "now plug jetson in again" in result["said"]
    assert phases(result)["jetson a fit spare again"] is not None
    pair.judge()


def test_a_scheduled_switchover_happens_once(make_pair: PairMaker, bot: BotApiThread) -> None:
    """Due in this slot: the leader hands over, the new one judges and tells; nothing repeats."""
    hours = "hours_utc = [" + ", ".join(str(hour) for hour in range(24)) + "]\n"
    plan = told_plan(bot)
    pair = make_pair(
        StagePlan(
            **{
                **{name: getattr(plan, name) for name in plan.__slots__},
                "extra_toml": plan.extra_toml + 'switchover = "monthly"\n' + hours,
            }
        )
    )
    pair.open()
    pair.wait_event(JETSON, "drill.due")
    pair.wait_active(PI)
    told = pair.wait_told("drill_passed", PI)
    assert told["event_id"].startswith("drill_passed:scheduled-")
    history = json.loads(pair.stage.nodectl("drill", "history", "--json").stdout)
    assert [(h["kind"], h["outcome"]) for h in history] == [("switchover", "passed")]
    assert pair.events(PI, "drill.due") == []
    pair.judge()


def test_two_boxes_refuse_what_would_stop_trading(make_pair: PairMaker) -> None:
    """R16: the only store may not be drilled away, nor a partition that costs nothing."""
    pair = make_pair(plan_of(stores=1, extra_toml=DRILLS))
    pair.open()
    refused = pair.stage.nodectl("drill", "store", PI, "--yes")
    assert refused.returncode == 1
    assert "the only store that decides" in refused.stderr
    assert "--accept-stop" in refused.stderr
    assert pair.stage.nodectl("switchover").returncode == 0
    pair.wait_active(PI)
    pair.story.wait_spare(JETSON)
    refused = pair.stage.nodectl("drill", "partition", "--yes")
    assert refused.returncode == 1
    assert "nothing would be drilled" in refused.stderr
    assert "drill" not in pair.latches()[0], "a refusal writes nothing"
    pair.judge()


def test_two_boxes_store_drill_when_the_stop_is_accepted(make_pair: PairMaker) -> None:
    """The leader stops safely, somebody trades again when the store is back."""
    pair = make_pair(plan_of(stores=1, extra_toml=DRILLS))
    pair.open()
    result = Asked(pair, "store", PI, "--for", "8s", "--accept-stop").result()
    assert (result["exit_code"], result["outcome"]) == (0, "passed"), result
    assert pair.events(JETSON, "lease.lapsed")
    gap = phases(result)["longest time without a renewal"]
    assert gap is not None
    assert gap > 3
    pair.judge()


def test_a_paused_cluster_and_one_without_a_spare_are_not_drilled(make_pair: PairMaker) -> None:
    """S6: a drill lifts nothing and starts nothing that a person has stopped."""
    pair = make_pair(plan_of(extra_toml=DRILLS))
    pair.open()
    assert pair.stage.nodectl("pause").returncode == 0
    refused = pair.stage.nodectl("drill", "crash", "--yes")
    assert (refused.returncode, "the cluster is paused" in refused.stderr) == (1, True)
    assert pair.stage.nodectl("resume").returncode == 0
    pair.kill(PI)
    pair.wait_event(JETSON, "spare.lost")
    refused = pair.stage.nodectl("drill", "crash", "--yes")
    assert (refused.returncode, "no fit spare" in refused.stderr) == (1, True)
    assert pair.events(JETSON, "drill.requested") == []
    pair.judge()


def test_ctrl_c_ends_the_watching_and_changes_nothing(make_pair: PairMaker) -> None:
    """Nobody pulled the plug after all: exit 3, no entry in the history, the pair trades on."""
    pair = make_pair(plan_of(extra_toml=DRILLS))
    pair.open()
    changes = pair.stage.role_changes(JETSON)
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "node.cli.main",
            "drill",
            "plug",
            "--yes",
            "--node",
            PI,
            "--config",
            str(pair.stage.config_path),
        ],
        cwd=pair.stage.directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as asked:
        pair.wait(lambda: "drill" in pair.latches()[0], "the drill to begin")
        asked.send_signal(signal.SIGINT)
        said, errors = asked.communicate(timeout=60)
    assert asked.returncode == 3, errors
    assert "pull the plug of jetson now" in said
    assert "interrupted before anything was seen" in errors
    assert json.loads(pair.stage.nodectl("drill", "history", "--json").stdout) == []
    pair.wait_order(JETSON)
    assert pair.stage.role_changes(JETSON) == changes
    pair.judge()


def test_ctrl_c_ends_a_measurement_with_what_it_has(make_pair: PairMaker) -> None:
    """`doctor --measure 1h` that is stopped after a few seconds still judges."""
    pair = make_pair(plan_of())
    pair.open()
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "node.cli.main",
            "doctor",
            "--measure",
            "1h",
            "--json",
            "--config",
            str(pair.stage.config_path),
        ],
        cwd=pair.stage.directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as measuring:
        assert measuring.stderr is not None
        while "5 of 3600 s" not in (line := measuring.stderr.readline()):
            assert line, "it said how far it is"
        measuring.send_signal(signal.SIGINT)
        said, errors = measuring.communicate(timeout=60)
    shown = json.loads(said)
    assert shown["measured"]["rounds"] > 5, errors
    assert shown["advice"]["words"]
    assert measuring.returncode == shown["exit_code"]
    # The nodes tell their own pauses; a renewal each half second leaves one of about that.
    assert pair.member(JETSON)["longest_gap_ms"] > 300
    pair.judge()

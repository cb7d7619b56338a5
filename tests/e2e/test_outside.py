"""Total silence is an alarm: pings follow finished work, and end with it."""

import json
import signal
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import PairMaker
from tests.e2e.test_drills import DRILLS, Asked
from tests.support.alarm_service import TOKEN, UUID, AlarmService
from tests.support.pair import JETSON, PI, Pair, plan_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]
PACE = "[deadman]\npace_s = 1\ntimeout_s = 5\n"


@pytest.fixture
def service() -> Iterator[AlarmService]:
    """An alarm service of this test's own."""
    with AlarmService() as running:
        yield running


@pytest.fixture
def watched(make_pair: PairMaker, service: AlarmService) -> Pair:
    """Two nodes with the cluster's check in healthchecks.io's way; the Jetson's own in Kuma's."""
    cluster = f'[deadman]\ncluster = "{service.healthchecks_url}"\n'
    secrets = {JETSON: f'{cluster}node = "{service.kuma_url}"\n', PI: cluster}
    return make_pair(plan_of(extra_toml=DRILLS + PACE, secrets_toml=secrets))


def pings(service: AlarmService, check: str, words: str) -> list[float]:
    """Return when pings of one check with these words came."""
    return [ping.at_s for ping in service.of(check) if words in ping.text]


def wait_pings(pair: Pair, service: AlarmService, check: str, words: str, more: int = 3) -> None:
    """Wait for further pings."""
    before = len(pings(service, check, words))
    pair.wait(
        lambda: len(pings(service, check, words)) >= before + more, f"pings of {check}: {words}"
    )


def test_hung_work_loop_is_silent_while_its_threads_live(
    watched: Pair, service: AlarmService
) -> None:
    """The leader's loop hangs, its heartbeat and ping threads do not: nothing may be sent."""
    watched.open()
    wait_pings(watched, service, UUID, "Jetson Nano leads")
    wait_pings(watched, service, TOKEN, "Jetson Nano: leader")
    done = watched.stage.nodectl("doctor", "--json", "--node", JETSON)
    shown = {n["node_id"]: n for n in json.loads(done.stdout)["outside"]}
    assert shown[JETSON]["urls"]["cluster"]["answered_age_s"] < 30, done.stdout
    drill = Asked(watched, "hang")
    watched.wait_event(JETSON, "drill.started")
    silent_from = len(service.heard)
    assert watched.node(JETSON).wait(90.0) == -signal.SIGKILL
    by_jetson = [ping for ping in service.heard[silent_from:] if "Jetson" in ping.text]
    # One for each URL may have been under way; the hang limit alone is five paces of a timer.
    assert len(by_jetson) <= 2, by_jetson
    wait_pings(watched, service, UUID, "Raspberry Pi leads")
    watched.node(JETSON).start()
    wait_pings(watched, service, TOKEN, "Jetson Nano: standby")
    assert drill.result()["outcome"] in {"passed", "late"}
    for node in (JETSON, PI):
        log = watched.node(node).log_path.read_text()
        assert UUID not in log
        assert TOKEN not in log
    watched.judge()


def test_stopped_process_is_silent_and_the_other_one_speaks_for_the_cluster(
    watched: Pair, service: AlarmService
) -> None:
    """SIGSTOP of the leader: both its checks go quiet, the cluster's is fed by the new leader."""
    watched.open()
    wait_pings(watched, service, UUID, "Jetson Nano leads", more=1)
    wait_pings(watched, service, TOKEN, "Jetson Nano: leader", more=1)
    since = watched.stage.role_changes(PI)
    watched.node(JETSON).send(signal.SIGSTOP)
    watched.wait_active(PI, since=since)
    before = len(service.of(TOKEN))
    wait_pings(watched, service, UUID, "Raspberry Pi leads")
    assert len(service.of(TOKEN)) == before
    watched.judge()


def test_service_that_hangs_holds_up_no_order(watched: Pair, service: AlarmService) -> None:
    """The alarm is broken; trading is not, and the doctor says which URL it is."""
    service.mode = "hang"
    watched.open()
    watched.wait_order(JETSON)
    watched.wait_event(JETSON, "deadman.unanswered", url="node")
    watched.wait_order(JETSON)
    gaps = watched.events(JETSON, "lease.gap")
    assert gaps == []
    done = watched.stage.nodectl("doctor", "--node", JETSON)
    assert "dead-man URL (cluster) of Jetson Nano does not answer" in " ".join(done.stdout.split())
    service.mode = ""
    service.released.set()
    watched.wait_event(JETSON, "deadman.answered", url="node")
    watched.judge()


def test_leader_without_its_venue_is_alive_and_does_not_say_that_somebody_trades(
    watched: Pair, service: AlarmService
) -> None:
    """The cluster's check goes quiet, the node's does not; both speak again when it answers."""
    watched.start(JETSON)
    watched.wait_active(JETSON)
    wait_pings(watched, service, UUID, "Jetson Nano leads", more=1)
    watched.stage.paper.arm("5xx", key=JETSON, count=None)
    watched.wait(
        lambda: watched.member(JETSON).get("venue_ok") is False, "the venue's trouble to be known"
    )
    wait_pings(watched, service, TOKEN, "Jetson Nano: leader", more=2)  # what was under way came
    before = len(service.of(UUID))
    wait_pings(watched, service, TOKEN, "Jetson Nano: leader", more=4)
    assert len(service.of(UUID)) == before
    watched.stage.paper.clear_faults()
    wait_pings(watched, service, UUID, "Jetson Nano leads", more=1)
    watched.judge()

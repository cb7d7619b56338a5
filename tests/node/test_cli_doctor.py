"""nodectl doctor at real lease stores with a pair of puppets."""

import json
import threading
import time
from pathlib import Path

import pytest

from election.address import StoreAddress
from election.connections import StoreConnection
from election.model import LeaseTiming, StoreName
from election.redis_reply import keys_of
from node.demo.stores import StoreServer
from node.doctor.measuring import Measuring
from node.doctor.samples import measure
from tests.support.nodectl import nodectl, run_nodectl
from tests.support.puppet_pair import (
    PASSWORD,
    Puppets,
    wait_until,
    write_config,
)
from tests.support.tcp_proxy import Fault, TcpProxy

BUSY_S = 1.5
TIMING = LeaseTiming(request_timeout_ms=400, observe_ms=100, renew_ms=200)


def doctor(pair: Puppets, *arguments: str) -> tuple[int, str]:
    """Run nodectl doctor; standard error is where progress goes."""
    return nodectl(pair, "doctor", *arguments)


def test_the_doctor_shows_row_losses_and_findings(pair: Puppets) -> None:
    """The single host is something to look at: exit 1; nobody leads: exit 2."""
    code, text = doctor(pair)
    assert code == 1, text
    assert "lease store: 3 on one machine (single-host)" in text
    assert "the home uplink: TRADING STOPS" in text
    assert "look  topology" in text
    shown = json.loads(doctor(pair, "--json")[1])
    assert shown["exit_code"] == 1
    assert {"cluster", "topology", "losses", "findings"} <= set(shown)


def test_the_doctor_looks_beyond_the_stores(pair: Puppets) -> None:
    """Clocks from the member board; key and chat are named as not there, unless it is quick."""
    pair.bodies = {"jetson": {"wall_ms": time.time_ns() // 1_000_000 + 3_600_000}}
    pair.bodies["raspberrypi"] = {"wall_ms": time.time_ns() // 1_000_000}
    wait_until(lambda: "clocks: the clock of jetson is 3" in doctor(pair, "--quick")[1])
    text = doctor(pair)[1]
    assert "the API key was not tried" in text
    assert "telegram: no chat is configured" in text
    quick = doctor(pair, "--quick")[1]
    assert "telegram:" not in quick
    assert "keys:" not in quick


def test_two_silent_stores_are_to_be_acted_on(pair: Puppets, servers: list[StoreServer]) -> None:
    """Exit 2, and each silent store has its own line."""
    for server in servers[1:]:
        server.kill()
    wait_until(lambda: doctor(pair)[0] == 2)
    assert "too few stores answer" in doctor(pair)[1]
    for server in servers[1:]:
        server.restart()


def test_measuring_says_figures_and_a_verdict(pair: Puppets) -> None:
    """From real answers of real stores: figures a store, words, progress."""
    pair.bodies["jetson"] = {"longest_gap_ms": 9000}
    # With one node's secrets alone this machine is its box: its disk is timed too.
    (pair.config.directory / "secrets" / "raspberrypi.toml").unlink()
    pair.config.node_state_dir("jetson").mkdir(parents=True)
    code, text = doctor(pair, "--measure", "5s")
    assert code == 2, text
    assert "measured 5 s" in text
    assert "Ctrl-C ends it early" in text
    # The node's own pause of nine seconds leaves no margin of a ttl of twelve.
    assert "paused 9.00 s between heartbeats" in text
    assert "ttl_ms = " in text
    assert "durable writes on jetson: 20 of 4 KB" in text


def test_a_measurement_writes_nothing(servers: list[StoreServer], tmp_path: Path) -> None:
    """An observer would create a missing record; a measurement must not."""
    for server in servers:
        server.restart()
    config = write_config(tmp_path, servers)
    assert run_nodectl("doctor", "--measure", "5s", "-c", config.path)[0] == 2
    for server in servers:
        connection = StoreConnection(_address(server.name, server.port))
        reply = connection.call("KEYS", "*", deadline_s=time.monotonic() + 5)
        connection.close()
        assert reply == []
    assert keys_of(config.cluster_id).lease


def test_a_cable_that_is_cut_meanwhile_shows_in_the_figures(servers: list[StoreServer]) -> None:
    """Two of three stores behind a cable that swallows everything: renewals would be lost."""
    with TcpProxy(servers[0].port) as one, TcpProxy(servers[1].port) as two:
        addresses = [
            _address("one", one.port),
            _address("two", two.port),
            _address("three", servers[2].port),
        ]
        measuring = Measuring(addresses, cluster_id="dev-x", timing=TIMING)

        def tell(lasted_s: float, _: object) -> None:
            if lasted_s > 1.5:
                one.fault = two.fault = Fault.BLACKHOLE

        measuring.run(6.0, tell=tell)
        found = measure(measuring.rounds(), measuring.names, TIMING, pace_s=measuring.pace_s)
    assert found.lost_in_a_row >= 3
    assert found.stores[0].lost >= 3
    assert "one" in found.stores[0].last_error
    assert found.stores[2].lost < found.stores[0].lost


class BusyBox(threading.Event):
    """A box that gets round to nothing for a while when it should ask for the second time."""

    waits = 0

    def wait(self, timeout: float | None = None) -> bool:
        found = super().wait(timeout)
        if threading.current_thread().name.startswith("measure-"):
            self.waits += 1
            time.sleep(BUSY_S if self.waits == 2 else 0.0)
        return found


def test_a_box_that_is_too_busy_to_ask_is_told(
    servers: list[StoreServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store answers at once; the pause between two questions is this box's own."""
    addresses = [_address("one", servers[0].port)]
    measuring = Measuring(addresses, cluster_id="dev-x", timing=TIMING)
    monkeypatch.setattr(measuring, "_stopped", BusyBox())
    measuring.run(4.0, tell=lambda *_: None)
    found = measure(measuring.rounds(), measuring.names, TIMING, pace_s=measuring.pace_s)
    assert found.longest_own_gap_s > BUSY_S


@pytest.mark.parametrize("text", ["5", "soon", "1d", "1s"])
def test_a_wrong_duration_is_wrong_usage(tmp_path: Path, text: str) -> None:
    """Refused before anything is read, with what was expected."""
    code, said = run_nodectl("doctor", "--measure", text, "-c", tmp_path / "none.toml")
    assert code == 64
    assert "--measure" in said


def _address(name: str, port: int) -> StoreAddress:
    return StoreAddress(name=StoreName(name), host="127.0.0.1", port=port, password=PASSWORD)

"""The checker: a sound run passes, and for each invariant a doctored log makes it fail."""

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exchange.identity import IdParts, cluster_tag, encode, node_tag
from node.demo.checker import Run, check_run, load_run
from node.drill.placements import epoch_of

Logs = dict[str, list[dict[str, Any]]]
ROOT = Path(__file__).parents[2]


def cid(epoch: int, counter: int, node: str = "jetson") -> str:
    return encode(
        IdParts(
            cluster_tag=cluster_tag("dev-demo"),
            epoch=epoch,
            node_tag=node_tag(node),
            counter=counter,
        )
    )


A1, A2, B1 = cid(1, 0), cid(1, 1), cid(2, 0, "raspberrypi")


def event(node: str, name: str, **fields: Any) -> dict[str, Any]:
    return {"ts": "2026-01-01T00:00:00.000Z", "event": name, "node": node, **fields}


def request(arrival: int, key: str, order_id: str, method: str = "POST") -> dict[str, Any]:
    return {
        "type": "request",
        "arrival": arrival,
        "method": method,
        "key": key,
        "client_order_id": order_id,
        "outcome": "accepted",
        "batch_end": True,
    }


def sound() -> Logs:
    """A run with a failover: jetson places two orders, one fills; the Pi adopts and cancels."""
    fill = {
        "type": "fill",
        "account": "main",
        "symbol": "ETHUSDT",
        "client_order_id": A1,
        "order_id": 1,
        "side": "BUY",
        "quantity": "2",
        "price": "10",
        "commission": "0.002",
        "commission_asset": "ETH",
    }
    return {
        "requests": [
            {"type": "account", "account": "main", "balances": {"USDT": "100", "ETH": "0"}},
            request(1, "jetson", A1),
            {"type": "order", "order_id": 1, "client_order_id": A1},
            fill,
            request(2, "jetson", A2),
            {"type": "order", "order_id": 2, "client_order_id": A2},
            request(3, "raspberrypi", A2, "DELETE"),
            request(4, "raspberrypi", B1),
            {"type": "order", "order_id": 3, "client_order_id": B1},
            {
                "type": "balances",
                "account": "main",
                "balances": {
                    "USDT": {"free": "80", "locked": "0"},
                    "ETH": {"free": "1.998", "locked": "0"},
                },
                "batch_end": True,
            },
        ],
        "jetson": [
            event("jetson", "lease.granted", lease_epoch=1),
            event("jetson", "takeover.finished", epoch=1),
            event("jetson", "alert.delivered", event_id="took_over:1"),
            event("jetson", "order.intended", client_order_id=A1),
            event("jetson", "order.confirmed", client_order_id=A1),
            event(
                "jetson",
                "order.filled",
                client_order_id=A1,
                symbol="ETH/USDT",
                fill_id="1",
                position="1.998",
            ),
            event("jetson", "order.intended", client_order_id=A2),
        ],
        "raspberrypi": [
            event("raspberrypi", "lease.granted", lease_epoch=2),
            event("raspberrypi", "order.resolved", client_order_id=A2),
            event("raspberrypi", "order.cancelled", client_order_id=A2),
            event("raspberrypi", "takeover.finished", epoch=2),
            event("raspberrypi", "alert.delivered", event_id="took_over:2"),
            event("raspberrypi", "order.intended", client_order_id=B1),
            event("raspberrypi", "order.confirmed", client_order_id=B1),
            event("raspberrypi", "role.changed", to="draining", epoch=2),
            event("raspberrypi", "alert.delivered", event_id="gave_up:2:raspberrypi"),
        ],
    }


def judged(logs: Logs) -> dict[str, bool]:
    nodes = {name: tuple(lines) for name, lines in logs.items() if name != "requests"}
    verdict = check_run(Run(requests=tuple(logs["requests"]), nodes=nodes))
    return {finding.name: finding.holds for finding in verdict.findings}


def late_order_of_the_old_holder(logs: Logs) -> None:
    logs["requests"].append(request(9, "jetson", cid(1, 2)))
    logs["jetson"] += [
        event("jetson", "order.intended", client_order_id=cid(1, 2)),
        event("jetson", "order.confirmed", client_order_id=cid(1, 2)),
    ]


def late_cancel_of_the_old_holder(logs: Logs) -> None:
    logs["requests"].append(request(9, "jetson", B1, "DELETE"))


def epoch_that_was_never_granted(logs: Logs) -> None:
    logs["raspberrypi"] = [e for e in logs["raspberrypi"] if e["event"] != "lease.granted"]


def two_nodes_with_one_epoch(logs: Logs) -> None:
    logs["raspberrypi"][0]["lease_epoch"] = 1
    logs["requests"][7]["client_order_id"] = cid(1, 7, "raspberrypi")


def order_sent_twice(logs: Logs) -> None:
    logs["requests"].append(request(9, "raspberrypi", B1))


def order_sent_twice_and_once_refused(logs: Logs) -> None:
    logs["requests"].append(request(9, "raspberrypi", B1) | {"outcome": "rejected"})


def intent_without_an_end(logs: Logs) -> None:
    logs["raspberrypi"] = [e for e in logs["raspberrypi"] if e.get("client_order_id") != A2]


def order_that_nobody_knows(logs: Logs) -> None:
    logs["requests"].append({"type": "order", "order_id": 9, "client_order_id": cid(2, 9)})


def position_that_nobody_filled(logs: Logs) -> None:
    logs["jetson"][5]["position"] = "2"


def fill_that_nobody_counted(logs: Logs) -> None:
    logs["jetson"] = [e for e in logs["jetson"] if e["event"] != "order.filled"]
    logs["jetson"].append(event("jetson", "order.done", client_order_id=A1))


def balance_that_fills_do_not_explain(logs: Logs) -> None:
    logs["requests"][-1]["balances"]["USDT"]["free"] = "81"


def takeover_that_was_not_told(logs: Logs) -> None:
    logs["raspberrypi"] = [e for e in logs["raspberrypi"] if e.get("event_id") != "took_over:2"]


def takeover_told_twice(logs: Logs) -> None:
    logs["jetson"].append(event("jetson", "alert.delivered", event_id="took_over:2"))


def hand_over_that_was_not_told(logs: Logs) -> None:
    del logs["raspberrypi"][-1]


def fenced(node: str, *later: tuple[int, str]) -> list[dict[str, Any]]:
    """The end of a log: epoch 1 is lost at second 0, then events at these seconds."""
    lost = event(node, "role.changed", **{"from": "active", "to": "fenced", "epoch": 1})
    lines = [lost, *(event(node, name) | {"second": second} for second, name in later)]
    return [line | {"ts": f"2026-01-01T00:01:{line.pop('second', 0):02d}.000Z"} for line in lines]


def lapse_of_a_living_process_that_was_not_told(logs: Logs) -> None:
    logs["jetson"] += fenced("jetson", (1, "role.changed"), (30, "eligibility.changed"))


@pytest.mark.parametrize(
    ("later", "is_told", "holds"),
    [
        ([], False, True),
        ([(2, "role.changed")], False, True),
        ([(2, "node.starting"), (30, "node.ready")], False, True),
        ([(2, "role.changed"), (30, "node.ready")], True, True),
        ([(2, "role.changed"), (30, "node.ready")], False, False),
        ([(30, "node.ready"), (31, "node.starting")], False, False),
    ],
    ids=[
        "killed at once",
        "killed soon after",
        "killed and started again",
        "lived on and told",
        "lived on in silence",
        "lived on in silence, started again later",
    ],
)
def test_checker_lease_lost_alive_must_be_told(
    *, later: list[tuple[int, str]], is_told: bool, holds: bool
) -> None:
    """A lapse or a deposition is told by whoever survived it; the dead need not tell."""
    logs = copy.deepcopy(sound())
    logs["jetson"] += fenced("jetson", *later)
    if is_told:
        logs["jetson"].append(event("jetson", "alert.delivered", event_id="gave_up:1:jetson"))
    assert judged(logs)["each role change alerted once"] is holds


def test_checker_sound_run_holds() -> None:
    assert judged(sound()) == dict.fromkeys(judged(sound()), True)


@pytest.mark.parametrize(
    ("doctor", "broken"),
    [
        (late_order_of_the_old_holder, "no two epochs interleave"),
        (late_cancel_of_the_old_holder, "no two epochs interleave"),
        (epoch_that_was_never_granted, "no two epochs interleave"),
        (two_nodes_with_one_epoch, "no two epochs interleave"),
        (order_sent_twice, "no client order id twice"),
        (order_sent_twice_and_once_refused, "no client order id twice"),
        (intent_without_an_end, "no intent lost"),
        (order_that_nobody_knows, "no intent lost"),
        (position_that_nobody_filled, "positions = sum of fills"),
        (fill_that_nobody_counted, "positions = sum of fills"),
        (balance_that_fills_do_not_explain, "positions = sum of fills"),
        (takeover_that_was_not_told, "each role change alerted once"),
        (takeover_told_twice, "each role change alerted once"),
        (hand_over_that_was_not_told, "each role change alerted once"),
        (lapse_of_a_living_process_that_was_not_told, "each role change alerted once"),
    ],
)
def test_checker_doctored_log_breaks_its_invariant(
    doctor: Callable[[Logs], None], broken: str
) -> None:
    logs = copy.deepcopy(sound())
    doctor(logs)
    assert not judged(logs)[broken]


def test_checker_reads_the_epoch_that_identity_writes() -> None:
    """The checker knows the layout by itself; it must be the one that the nodes use."""
    assert [epoch_of(each) for each in (A1, A2, B1)] == [1, 1, 2]
    assert epoch_of("x-TKT5PX2F0123456789") is None
    assert epoch_of(None) is None


def write(logs: Logs, directory: Path) -> list[Path]:
    paths = []
    for name, lines in logs.items():
        path = directory / f"{name}.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        paths.append(path)
    return paths


def test_checker_command_line_exit_codes(tmp_path: Path) -> None:
    """0 sound, 1 broken, 2 unreadable; with nothing but the standard library."""

    def run(logs: Logs) -> int:
        paths = write(logs, tmp_path)
        command = [sys.executable, "-S", "-m", "node.demo.checker", *map(str, paths)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode

    assert run(sound()) == 0
    broken = sound()
    order_sent_twice(broken)
    assert run(broken) == 1
    assert run({"requests": []}) == 2


def test_checker_leaves_out_what_a_crash_tore(tmp_path: Path) -> None:
    """Lines after the last complete batch were never answered."""
    logs = sound()
    torn = request(9, "jetson", cid(1, 2))
    del torn["batch_end"]
    logs["requests"].append(torn)
    requests, *nodes = write(logs, tmp_path)
    assert check_run(load_run(requests, nodes)).holds


def test_checker_refuses_a_damaged_middle(tmp_path: Path) -> None:
    requests, *nodes = write(sound(), tmp_path)
    requests.write_text("{\n" + requests.read_text())
    with pytest.raises(ValueError, match=r"requests\.jsonl:1"):
        load_run(requests, nodes)

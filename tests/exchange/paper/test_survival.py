"""The state outlives the process, however it ends; the log alone accounts for every balance."""

import json
import os
import signal
import subprocess
import sys
from decimal import Decimal
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from exchange.paper.process import PaperProcess, PaperStartError
from exchange.paper.wal import LogCorruptError, RequestLog, StateDirInUseError
from tests.support.paper_server import BALANCES, RawClient, paper_process, still_symbol, wait_until

ORDER: dict[str, Any] = {
    "symbol": "ETHBTC",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "4",
    "price": "0.04",
}


def trade_a_little(paper: PaperProcess, client: RawClient) -> None:
    """A filled market order, a partly filled and an open one, a cancelled and a refused one."""
    market = {"symbol": "ETHBTC", "side": "SELL", "type": "MARKET", "quantity": "2"}
    client.signed("POST", "order", **market)
    client.signed("POST", "order", newClientOrderId="part", **ORDER)
    paper.jump("ETHBTC", "0.04")
    paper.jump("ETHBTC", "0.05")
    client.signed("POST", "order", newClientOrderId="open", **ORDER)
    client.signed("POST", "order", newClientOrderId="gone", **ORDER)
    client.signed("DELETE", "order", symbol="ETHBTC", origClientOrderId="gone")
    client.signed("POST", "order", **(ORDER | {"quantity": "4000"}))


def reads(client: RawClient) -> list[Any]:
    """Everything a client can read about its account."""
    account = client.signed("GET", "account")[1]
    del account["updateTime"]
    return [
        account,
        client.signed("GET", "allOrders", symbol="ETHBTC"),
        client.signed("GET", "openOrders"),
        client.signed("GET", "myTrades", symbol="ETHBTC"),
        client.signed("GET", "order", symbol="ETHBTC", origClientOrderId="part"),
    ]


def test_state_survives_sigkill(paper: PaperProcess, client: RawClient) -> None:
    """After SIGKILL and a restart on the same port every read answers the same."""
    trade_a_little(paper, client)
    before, port = reads(client), paper.port
    assert before[4][1]["status"] == "PARTIALLY_FILLED"

    paper.kill()
    paper.start()

    assert paper.port == port
    assert reads(client) == before
    placed = client.signed("POST", "order", **ORDER)[1]
    assert placed["orderId"] == max(order["orderId"] for order in before[1][1]) + 1
    duplicate = client.signed("POST", "order", newClientOrderId="open", **ORDER)[1]
    assert duplicate["msg"] == "Duplicate order sent."


def test_feed_clock_and_jumps_survive_a_restart(paper: PaperProcess, client: RawClient) -> None:
    """Candle time, pause, price jumps and skew go on where they were."""
    paper.advance(candles=2)
    paper.jump("ETHBTC", "0.06")
    paper.set_skew(1234)
    before = paper.state()
    klines = client.public("klines", symbol="ETHBTC", interval="1m", limit=5)

    paper.restart()

    after = paper.state()
    assert after["feeds"] == before["feeds"]
    assert after["skew_ms"] == 1234
    assert client.public("klines", symbol="ETHBTC", interval="1m", limit=5) == klines


@pytest.mark.parametrize("kept", [1, 20, -1], ids=["one byte", "some bytes", "all but the end"])
def test_torn_tail_is_cut_off(paper: PaperProcess, client: RawClient, kept: int) -> None:
    """A batch that reached the disk in part was never answered: it is as if it had not come."""
    trade_a_little(paper, client)
    before = reads(client)
    paper.kill()
    whole = paper.log_path.read_bytes()
    torn = b'{"seq":999,"type":"request","arrival":99}\n{"seq":1000,"type":"end"'[:kept]
    paper.log_path.write_bytes(whole + torn)

    paper.start()

    assert reads(client) == before
    assert torn not in paper.log_path.read_bytes()[len(whole) :] or len(torn) == 1
    assert [line["seq"] for line in paper.read_log()] == list(range(1, len(paper.read_log()) + 1))


def test_any_prefix_of_the_log_starts(tmp_path: Path) -> None:
    """Whatever a crash leaves of the log is a state that once was, with nothing half done."""
    with paper_process(tmp_path / "first") as paper:
        trade_a_little(paper, RawClient(paper))
    whole = paper.log_path.read_bytes()
    ends = {0} | {
        end for end in range(1, len(whole) + 1) if whole[:end].endswith(b'"batch_end":true}\n')
    }
    directory = tmp_path / "second"
    for cut in range(0, len(whole), 97):
        directory.mkdir(exist_ok=True)
        (directory / "requests.jsonl").write_bytes(whole[:cut])
        log = RequestLog(directory)
        kept = (directory / "requests.jsonl").stat().st_size
        assert kept == max(end for end in ends if end <= cut)
        assert len(log.loaded) == whole[:kept].count(b"\n")
        log.close()


def test_damage_in_the_middle_is_refused(tmp_path: Path) -> None:
    """A damaged line that others follow is no torn tail; guessing would invent balances."""
    path = tmp_path / "requests.jsonl"
    good = b'{"seq":1,"type":"clock","skew_ms":0,"batch_end":true}\n'
    path.write_bytes(good + b'{"seq":2,"ty\n' + good)
    with pytest.raises(LogCorruptError, match="line 2"):
        RequestLog(tmp_path)


def test_state_directory_belongs_to_one_process(tmp_path: Path) -> None:
    """A second process on the same directory is refused, the first goes on."""
    first = RequestLog(tmp_path)
    with pytest.raises(StateDirInUseError):
        RequestLog(tmp_path)
    first.close()
    RequestLog(tmp_path).close()


def test_log_alone_accounts_for_every_balance(paper: PaperProcess, client: RawClient) -> None:
    """Opening balances plus fills give the final balances; nothing else moves money."""
    trade_a_little(paper, client)
    paper.advance(candles=3)
    final = paper.write_balances()
    held: dict[tuple[str, str], Decimal] = {}
    for line in paper.read_log():
        account = str(line.get("account"))
        if line["type"] == "account":
            for asset, amount in line["balances"].items():
                held[account, asset] = Decimal(amount)
        if line["type"] == "fill":
            sign = 1 if line["side"] == "BUY" else -1
            held[account, "ETH"] += sign * Decimal(line["quantity"])
            held[account, "BTC"] -= sign * Decimal(line["quantity"]) * Decimal(line["price"])
            held[account, line["commission_asset"]] -= Decimal(line["commission"])
    assert held["main", "ETH"] != Decimal(BALANCES["ETH"])
    for line in final:
        for asset, amounts in line["balances"].items():
            total = Decimal(amounts["free"]) + Decimal(amounts["locked"])
            assert held[line["account"], asset] == total


def test_log_has_a_line_for_every_write_and_no_secret(
    paper: PaperProcess, client: RawClient
) -> None:
    """Accepted, refused: each with key name, id, parameters, outcome; never key or signature."""
    trade_a_little(paper, client)
    requests = [line for line in paper.read_log() if line["type"] == "request"]
    assert [line["outcome"] for line in requests] == ["accepted"] * 5 + ["rejected"]
    assert requests[-1]["code"] == -2010
    assert [line["arrival"] for line in requests] == sorted({line["arrival"] for line in requests})
    assert {line["key"] for line in requests} == {"jetson"}
    assert requests[1]["client_order_id"] == "part"
    assert requests[1]["params"]["quantity"] == "4"
    text = paper.log_path.read_text()
    assert "secret" not in text
    assert "signature" not in text
    assert "key-jetson" not in text


def test_sigterm_ends_it_cleanly(paper: PaperProcess) -> None:
    """SIGTERM: exit status 0, soon."""
    pid = paper.pid
    assert pid is not None
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not paper.is_running)


def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    """A parent that is killed leaves no paper exchange behind."""
    script = (
        "import sys, signal; from pathlib import Path\n"
        "from tests.support.paper_server import paper_process\n"
        f"paper = paper_process(Path({str(tmp_path)!r})); paper.start()\n"
        "print(paper.pid, flush=True); signal.pause()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: not Path(f"/proc/{pid}").exists())


def test_readable_accounts_file_is_refused(tmp_path: Path) -> None:
    """Secrets that others can read are an error that says what to do, without showing them."""
    paper = paper_process(tmp_path)
    (tmp_path / "accounts.json").chmod(0o644)
    with pytest.raises(PaperStartError, match="chmod 600") as error:
        paper.start()
    assert "secret-of" not in str(error.value)


def test_unknown_configuration_key_is_refused(tmp_path: Path) -> None:
    """A misspelt key is named, not ignored."""
    with pytest.raises(PaperStartError, match="colour"):
        paper_process(tmp_path, colour="red").start()


def test_state_of_a_symbol_that_is_configured_no_more_is_refused(tmp_path: Path) -> None:
    """Orders without a market cannot be kept; the message names symbol and log."""
    with paper_process(tmp_path):
        pass
    other = [still_symbol(tmp_path, "XRP/BTC")]
    with pytest.raises(PaperStartError, match="knows ETHBTC"):
        paper_process(tmp_path, symbols=other).start()


def admin_status(port: int, *, by: str) -> int:
    """Ask the exchange at 127.0.0.2 for its state, from an address; return the HTTP status."""
    connection = HTTPConnection("127.0.0.2", port, timeout=10, source_address=(by, 0))
    connection.request("GET", "/paper/state")
    status = connection.getresponse().status
    connection.close()
    return status


def test_flags_configure_one_symbol(tmp_path: Path) -> None:
    """Without a file: accounts, state directory, symbol and seed as flags; one ready line."""
    paper_process(tmp_path)
    command = [sys.executable, "-m", "exchange.paper", "--bound-to-stdin", "--seed", "7"]
    command += ["--state-dir", str(tmp_path / "s"), "--accounts", str(tmp_path / "accounts.json")]
    command += ["--symbol", "BTC/USDT", "--start-price", "30000", "--timeframe", "5m"]
    command += ["--host", "127.0.0.2"]  # a box of a real pair is not this machine
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    assert process.stdout is not None
    assert process.stdin is not None
    ready = json.loads(process.stdout.readline())
    assert ready["pid"] == process.pid
    assert admin_status(ready["port"], by="127.0.0.2") == 200  # its own address
    assert admin_status(ready["port"], by="127.0.0.3") == 403  # another machine's
    process.stdin.close()
    assert process.wait(30) == 0
    process.stdout.close()

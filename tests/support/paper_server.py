"""A running paper exchange for tests, with two keys on one account and a second account."""

import hashlib
import hmac
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from exchange.paper.process import PaperAccount, PaperKey, PaperProcess

JETSON = PaperKey(name="jetson", key="key-jetson", secret="secret-of-jetson")
RASPBERRYPI = PaperKey(name="raspberrypi", key="key-raspberrypi", secret="secret-of-raspberrypi")
READ_ONLY = PaperKey(name="reader", key="key-reader", secret="secret-of-reader", can_trade=False)
STRANGER = PaperKey(name="stranger", key="key-stranger", secret="secret-of-stranger")
UID = 1001
OTHER_UID = 2002
BALANCES = {"ETH": "10", "BTC": "2"}
ACCOUNTS = (
    PaperAccount(name="main", uid=UID, balances=BALANCES, keys=(JETSON, RASPBERRYPI, READ_ONLY)),
    PaperAccount(name="other", uid=OTHER_UID, balances=BALANCES, keys=(STRANGER,)),
)


def still_symbol(
    directory: Path, symbol: str = "ETH/BTC", *, volume: str = "10", **changes: Any
) -> dict[str, Any]:
    """Return a symbol that stands still until a test moves it.

    Its price is 0.05; with volume 10 each side shows ten levels of 1, 0.00001 apart, and each
    price point carries 2.5.
    """
    path = directory / f"{symbol.replace('/', '')}.csv"
    directory.mkdir(parents=True, exist_ok=True)
    rows = (f"{n * 60_000},0.05,0.05,0.05,0.05,{volume}" for n in range(400))
    path.write_text("timestamp_ms,open,high,low,close,volume\n" + "\n".join(rows) + "\n")
    return {
        "symbol": symbol,
        "candles": str(path),
        "price_step": "0.00001",
        "amount_step": "0.001",
        "is_paused": True,
        "is_rebased": True,
        "warmup": 50,
    } | changes


def paper_process(
    directory: Path, *, symbols: Sequence[Mapping[str, Any]] | None = None, **settings: Any
) -> PaperProcess:
    """Return a paper exchange with the accounts of this module, not started yet."""
    chosen = [still_symbol(directory)] if symbols is None else symbols
    return PaperProcess(directory, accounts=ACCOUNTS, symbols=chosen, **settings)


def wait_until(condition: Callable[[], bool], *, within_s: float = 30.0) -> None:
    """Wait for a condition; fail when it does not come true in time."""
    until = time.monotonic() + within_s
    waiting = threading.Event()
    while not condition():
        assert time.monotonic() < until, "the condition did not come true in time"
        waiting.wait(0.02)


class RawClient:
    """Signs and sends like a client would, and shows status, headers and body as they came."""

    def __init__(self, paper: PaperProcess, key: PaperKey = JETSON) -> None:
        """Speak to a paper exchange with one key."""
        self._paper = paper
        self._key = key
        self.headers: Message[str, str] = Message()

    def signed(self, method: str, path: str, **parameters: Any) -> tuple[int, Any]:
        """Send a signed request; returns HTTP status and parsed JSON (or the text)."""
        return self.send(method, path, self.sign(parameters))

    def sign(self, parameters: Mapping[str, Any]) -> str:
        """Return the parameters as a form, with timestamp (unless given) and signature."""
        text = urlencode({"timestamp": int(time.time() * 1000)} | dict(parameters))
        secret = self._key.secret.encode()
        signature = hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
        return f"{text}&signature={signature}"

    def signed_form(self, parameters: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
        """Return body and headers of a signed POST, for tests that send it themselves."""
        headers = {
            "X-MBX-APIKEY": self._key.key,
            "Content-Type": "application/x-www-form-urlencoded",
        }
        return self.sign(parameters), headers

    def public(self, path: str, **parameters: Any) -> tuple[int, Any]:
        """Send an unsigned GET."""
        return self.send("GET", path, urlencode(parameters), key="")

    def send(self, method: str, path: str, text: str, *, key: str | None = None) -> tuple[int, Any]:
        """Send parameters as they are: in the body of a POST, else in the query."""
        url = f"{self._paper.url}/api/v3/{path}"
        body = text.encode() if method == "POST" else None
        if body is None and text:
            url += "?" + text
        request = urllib.request.Request(url, data=body, method=method)
        header = self._key.key if key is None else key
        if header:
            request.add_header("X-MBX-APIKEY", header)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                self.headers = answer.headers
                return answer.status, _parse(answer.read())
        except urllib.error.HTTPError as e:
            self.headers = e.headers
            return e.code, _parse(e.read())


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")

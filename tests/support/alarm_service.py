"""A local alarm service that waits for pings: speaks healthchecks.io's and Uptime Kuma's ways."""

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qs, urlsplit

UUID = "8f3c1f0e-5d0b-4c39-9d2a-0f6b7a1c2d3e"
OTHER_UUID = "11111111-2222-4333-8444-555555555555"
TOKEN = "kPushToken01"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One ping: for which check, up or down, with which words, at which monotonic second."""

    check: str
    is_up: bool
    text: str
    method: str
    at_s: float


@dataclass(slots=True)
class AlarmService:
    """Serves on loopback; `mode` makes it answer otherwise: "", "500", "unknown" or "hang"."""

    heard: list[Heard] = field(default_factory=list)
    mode: str = ""
    released: threading.Event = field(default_factory=threading.Event)
    _server: ThreadingHTTPServer = field(init=False)

    def __post_init__(self) -> None:
        """Bind a port; nothing is served yet."""
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                service.answer(self)

            def do_POST(self) -> None:
                service.answer(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Stay quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    def __enter__(self) -> Self:
        """Serve."""
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let hanging answers go and close the port."""
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Its address without a path."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def healthchecks_url(self) -> str:
        """A check in the way of healthchecks.io."""
        return f"{self.url}/{UUID}"

    @property
    def kuma_url(self) -> str:
        """A push monitor as Uptime Kuma shows it."""
        return f"{self.url}/api/push/{TOKEN}?status=up&msg=OK&ping="

    def of(self, check: str) -> list[Heard]:
        """Return what was heard for one check."""
        return [ping for ping in list(self.heard) if ping.check == check]

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Take one request as either service would."""
        parts = urlsplit(request.path)
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0)).decode()
        if self.mode == "hang":
            self.released.wait(60)
        if self.mode == "500":
            return self._say(request, 500, "broken")
        is_kuma = parts.path.startswith("/api/push/")
        if self.mode == "unknown":
            if is_kuma:
                wrong = {"ok": False, "msg": "Monitor not found or not active."}
                return self._say(request, 404, json.dumps(wrong))
            return self._say(request, 200, "OK (not found)")
        segments = [part for part in parts.path.split("/") if part]
        if is_kuma:
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            check, is_up, text = segments[-1], query.get("status") == "up", query.get("msg", "")
        else:
            is_up, text = segments[-1] != "fail", body
            check = segments[-1] if is_up else segments[-2]
        self.heard.append(
            Heard(
                check=check, is_up=is_up, text=text, method=request.command, at_s=time.monotonic()
            )
        )
        return self._say(request, 200, '{"ok":true}' if is_kuma else "OK")

    def _say(self, request: BaseHTTPRequestHandler, status: int, text: str) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        request.wfile.write(text.encode())

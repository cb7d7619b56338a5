"""Answers that are not answers: cut connections, cut bodies, pages instead of JSON.

aiohttp.web cannot send less than it announces, so these write to the transport themselves and
close it; the handler's task then ends as if the client had gone.
"""

import asyncio
import json
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_request import BaseRequest

from exchange.paper.faults import Fault, FaultKind

PAGE = (
    "<!DOCTYPE html><html><head><title>{title}</title></head>"
    "<body><h1>{title}</h1><p>paper exchange, fault on request</p></body></html>"
)
# How long a blackholed request is held when the fault does not say.
HOLD_S = 60.0


class CutResponse(web.Response):
    """Writes raw bytes (maybe none), then cuts the connection."""

    def __init__(self, raw: bytes) -> None:
        """Keep what is still sent before the cut."""
        super().__init__()
        self._raw = raw

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        """Send, cut, and end the handler the way a lost client does."""
        transport = request.transport
        if transport is not None:
            if self._raw:
                transport.write(self._raw)
                transport.close()
            else:
                transport.abort()
        raise ConnectionResetError("cut on request")


def spoil(fault: Fault, status: int, payload: Any) -> web.Response:
    """Return what is sent instead of the answer (status, payload)."""
    whole = json.dumps(payload).encode()
    half = whole[: len(whole) // 2]
    answer: web.Response
    match fault.kind:
        case FaultKind.DROP | FaultKind.BLACKHOLE:
            answer = CutResponse(b"")
        case FaultKind.SERVER_ERROR:
            answer = _page(fault.status, _title(fault.status))
        case FaultKind.ERROR:
            error = {"code": fault.code, "msg": fault.message}
            answer = web.json_response(error, status=fault.status)
        case FaultKind.HTML:
            answer = _page(200, "Just a moment...")
        case FaultKind.EMPTY:
            answer = web.Response(status=200)
        case FaultKind.CUT:
            head = (
                f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(whole)}\r\n\r\n"
            )
            answer = CutResponse(head.encode() + half)
        case FaultKind.CUT_JSON:
            answer = web.Response(body=half, status=status, content_type="application/json")
        case _:
            raise AssertionError(f"{fault.kind} does not replace an answer")
    return answer


def sent_status(fault: Fault, status: int) -> int | None:
    """Return the HTTP status the client sees, None when the answer is dropped."""
    match fault.kind:
        case FaultKind.DROP | FaultKind.BLACKHOLE:
            return None
        case FaultKind.SERVER_ERROR | FaultKind.ERROR:
            return fault.status
        case FaultKind.HTML | FaultKind.EMPTY:
            return 200
        case _:
            return status


async def hold(request: web.Request, seconds: float) -> None:
    """Wait until the client has gone, at most `seconds` (or HOLD_S)."""
    loop = asyncio.get_running_loop()
    until = loop.time() + (seconds or HOLD_S)
    while loop.time() < until:
        transport = request.transport
        if transport is None or transport.is_closing():
            return
        await asyncio.sleep(min(0.05, max(0.0, until - loop.time())))


def _title(status: int) -> str:
    known = {known.value: known.phrase for known in HTTPStatus}
    return f"{status} {known.get(status, 'Origin Error')}"


def _page(status: int, title: str) -> web.Response:
    return web.Response(
        text=PAGE.format(title=title),
        status=status,
        content_type="text/html",
    )

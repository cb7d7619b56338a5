"""Pings over HTTP, in a thread of their own that nothing ever waits for.

Rules of this file: one daemon thread for each URL and one request at a time, so that a name look-up
or a service that hangs costs one thread and no trading; the URL appears in no error, because it is
a secret: whoever has it can keep the alarm quiet.
"""

import http.client
import queue
import threading
import time
import urllib.error
import urllib.request

from node.deadman import Ping, PingAnswer, PingRequest, judge_answer, render_ping

# More than any of the services says in a good answer.
BODY_MAX = 200


class HttpPinger:
    """Satisfies `node.edges.Pinger`."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        """Bind the URL; the thread begins with the first ping."""
        self._url, self._timeout_s = url, timeout_s
        self._orders: queue.Queue[PingRequest] = queue.Queue(maxsize=1)
        self._answers: queue.Queue[PingAnswer] = queue.Queue()
        self._idle = threading.Event()
        self._idle.set()
        self._thread: threading.Thread | None = None

    def send(self, ping: Ping) -> bool:
        """Begin a ping; False while the last one is still under way. Returns at once."""
        if not self._idle.is_set():
            return False
        request = render_ping(self._url, ping)
        if request is None:
            return True  # silence is this URL's only way to say it
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="dead-man ping", daemon=True)
            self._thread.start()
        self._idle.clear()
        self._orders.put_nowait(request)
        return True

    def take_answer(self) -> PingAnswer | None:
        """Return what became of a ping since the last call, None when nothing is known yet."""
        try:
            return self._answers.get_nowait()
        except queue.Empty:
            return None

    def _work(self) -> None:
        while True:
            answer = self._ask(self._orders.get())
            self._answers.put(answer)
            self._idle.set()

    def _ask(self, request: PingRequest) -> PingAnswer:
        started_s = time.monotonic()
        try:
            built = urllib.request.Request(  # noqa: S310  (secrets.py lets http and https pass)
                request.url,
                data=request.body.encode() if request.method == "POST" else None,
                headers={"User-Agent": "hotspare"},
                method=request.method,
            )
            with urllib.request.urlopen(built, timeout=self._timeout_s) as answer:  # noqa: S310
                body = answer.read(BODY_MAX).decode("utf-8", "replace")
                took_ms = (time.monotonic() - started_s) * 1000
                return judge_answer(answer.status, body, took_ms)
        except urllib.error.HTTPError as error:
            error.close()
            return judge_answer(error.code, "", 0.0)
        except (OSError, http.client.HTTPException, ValueError) as error:
            return PingAnswer(took_ms=None, error=_in_words(error))


def _in_words(error: Exception) -> str:
    """Say what failed without the error's own text, where that may quote the URL."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError):
        return "no answer in time"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return type(reason).__name__ if isinstance(reason, Exception) else "it cannot be reached"

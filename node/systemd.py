"""Telling systemd how the process is, by its datagram protocol (sd_notify), without a library.

Never raises and never blocks: a supervisor that does not listen must not stop trading. The
watchdog is fed by the work loop only, after a finished cycle.

Source: sd_notify(3).
"""

import os
import socket
import threading
from collections.abc import Callable, Mapping

STATUS_LIMIT = 200  # one line in `systemctl status`


class Notifier:
    """Sends states to the socket that systemd named; says nothing where there is none."""

    def __init__(
        self, environ: Mapping[str, str], *, on_ready: Callable[[], None] | None = None
    ) -> None:
        """Read the address; nothing is opened yet.

        Args:
            environ: of this process.
            on_ready: called once when the start is over, in a thread that nobody waits for.
        """
        self._address = _address_of(environ.get("NOTIFY_SOCKET", ""))
        self._on_ready = on_ready

    def ready(self, status: str) -> bool:
        """Say that the start is over."""
        on_ready, self._on_ready = self._on_ready, None
        if on_ready is not None:
            threading.Thread(target=on_ready, name="ready", daemon=True).start()
        return self._send(f"READY=1\nSTATUS={_line(status)}")

    def status(self, status: str) -> bool:
        """Say in words what the process does."""
        return self._send(f"STATUS={_line(status)}")

    def watchdog(self) -> bool:
        """Give a sign of life; called by the work loop after each finished cycle."""
        return self._send("WATCHDOG=1")

    def stopping(self, status: str) -> bool:
        """Say that the process is about to end."""
        return self._send(f"STOPPING=1\nSTATUS={_line(status)}")

    def _send(self, text: str) -> bool:
        if self._address is None:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto(text.encode("utf-8"), self._address)
        except OSError:
            return False
        return True


def _address_of(named: str) -> str | bytes | None:
    if named.startswith("@"):  # abstract namespace: the name begins with a zero byte
        return b"\0" + os.fsencode(named[1:])
    return named if named.startswith("/") else None


def _line(text: str) -> str:
    return " ".join(text.split())[:STATUS_LIMIT]

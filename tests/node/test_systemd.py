"""sd_notify over a real datagram socket, by path and in the abstract namespace."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.systemd import STATUS_LIMIT, Notifier


@pytest.fixture(params=["path", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A socket as systemd opens it, and the value of NOTIFY_SOCKET."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.settimeout(20)
        if request.param == "path":
            named = str(tmp_path / "notify")
            server.bind(named)
        else:
            named = f"@hotspare-test-{os.getpid()}"
            server.bind("\0" + named[1:])
        yield server, named


def test_states_arrive_as_systemd_reads_them(listener: tuple[socket.socket, str]) -> None:
    """READY, STATUS, WATCHDOG and STOPPING, one datagram each."""
    server, named = listener
    notifier = Notifier({"NOTIFY_SOCKET": named})
    assert notifier.ready("standby")
    assert notifier.status("leader\nsecond line")
    assert notifier.watchdog()
    assert notifier.stopping("asked to")
    got = [server.recv(4096).decode() for _ in range(4)]
    assert got == [
        "READY=1\nSTATUS=standby",
        "STATUS=leader second line",
        "WATCHDOG=1",
        "STOPPING=1\nSTATUS=asked to",
    ]


def test_a_status_cannot_smuggle_a_state_and_is_bounded(
    listener: tuple[socket.socket, str],
) -> None:
    """A line end in a status would be read as another state."""
    server, named = listener
    Notifier({"NOTIFY_SOCKET": named}).status("x\nWATCHDOG=1 " + "y" * 1000)
    got = server.recv(4096).decode()
    assert "\n" not in got
    assert len(got) == STATUS_LIMIT + len("STATUS=")


@pytest.mark.parametrize("named", ["", "relative", "/nowhere/at/all", "@nobody-listens-here"])
def test_nobody_listening_is_no_error(named: str) -> None:
    """A node without a supervisor runs as well; the answer says that nothing was sent."""
    notifier = Notifier({"NOTIFY_SOCKET": named} if named else {})
    assert notifier.ready("x") is False
    assert notifier.watchdog() is False

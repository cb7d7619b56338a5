"""The lab itself: a fault that does nothing would let every other test here pass."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.chaos.lab_net import Host, Net

pytestmark = pytest.mark.chaos

PORT = 7000
PATIENCE_S = 1.5  # address resolution asks again after a second
# Says "here" when somebody has connected, then keeps the connection until it is killed.
CALLER = """
import socket, sys, time
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10)
print("here", flush=True)
time.sleep(60)
"""


@contextmanager
def listening(host: Host) -> Iterator[socket.socket]:
    """A TCP port of a host."""
    with host.space.entered(), socket.create_server((host.address, PORT)) as server:
        server.settimeout(10.0)
        yield server


def datagrams(source: Host, target: Host, count: int) -> int:
    """Send datagrams from one host to another and return how many arrived."""
    with target.space.entered():
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.bind((target.address, PORT))
        receiver.settimeout(PATIENCE_S)
    with source.space.entered():
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    arrived = 0
    with receiver, sender:
        for _ in range(count):
            sender.sendto(b"x", (target.address, PORT))
        while arrived < count:
            try:
                receiver.recv(10)
            except TimeoutError:
                break
            arrived += 1
    return arrived


def caller(source: Host, target: Host) -> "subprocess.Popen[bytes]":
    """A process of one host that holds a connection to another."""
    process = subprocess.Popen(
        [*source.space.prefix, sys.executable, "-c", CALLER, target.address, str(PORT)],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n"
    return process


def test_lab_a_killed_process_closes_its_connections(net: Net) -> None:
    """SIGKILL alone is no power cut: the kernel says goodbye for the process, the hub counts it."""
    with listening(net["b"]) as server:
        process = caller(net["a"], net["b"])
        connection, _ = server.accept()
        connection.settimeout(10.0)
        before = net.endings("a")
        process.kill()
        process.wait(10.0)
        assert connection.recv(1) == b""
        assert net.endings("a") == before + 1


def test_lab_an_unplugged_host_closes_nothing(net: Net) -> None:
    """Pulled, its peer hears nothing; plugged in again, an old connection is not known there."""
    with listening(net["b"]) as server:
        process = caller(net["a"], net["b"])
        connection, _ = server.accept()
        connection.settimeout(PATIENCE_S)
        proof = net.pull("a", [process.pid])
        process.wait(10.0)
        assert proof.is_silent
        with pytest.raises(TimeoutError):
            connection.recv(1)
        net.plug("a")
        connection.sendall(b"are you there")
        connection.settimeout(10.0)
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_lab_links_break_as_asked(net: Net) -> None:
    """Cut is both ways, block one way, lose some; each ends."""
    a, b, c = net["a"], net["b"], net["c"]
    assert datagrams(a, b, 5) == datagrams(b, a, 5) == 5
    net.cut("a")
    assert datagrams(a, b, 5) == datagrams(b, a, 5) == 0
    assert datagrams(b, c, 5) == 5
    net.heal("a")
    with net.blocked(("a", "b")):
        assert datagrams(a, b, 5) == 0
        assert datagrams(b, a, 5) == datagrams(a, c, 5) == 5
    net.part(["a"], ["b", "c"])
    assert datagrams(a, b, 5) == datagrams(c, a, 5) == 0
    assert datagrams(b, c, 5) == 5
    net.clear()
    assert datagrams(a, b, 5) == 5
    net.lose(30, "a")
    assert 40 <= datagrams(a, b, 100) <= 95
    net.clear()
    assert datagrams(a, b, 5) == 5


def test_lab_wire_is_late_and_keeps_the_order(net: Net) -> None:
    """A delayed host hears everything, later; without the delay it is as before."""
    a, b = net["a"], net["b"]
    plain_s = round_trip_s(a, b)
    net.delay("a", jitter_ms=200)
    slow_s = [round_trip_s(a, b) for _ in range(12)]
    assert plain_s < max(slow_s)
    assert max(slow_s) > 0.1
    assert datagrams(a, b, 20) == datagrams(b, a, 20) == 20
    net.delay("a", jitter_ms=0)
    assert datagrams(a, b, 5) == datagrams(b, a, 5) == 5


def round_trip_s(source: Host, target: Host) -> float:
    """Connect over TCP (resolved before), send enough for several segments, wait for the end."""
    with listening(target) as server, source.space.entered():
        began_s = time.monotonic()
        with socket.create_connection((target.address, PORT), timeout=10) as calling:
            connection, _ = server.accept()
            with connection:
                calling.sendall(b"x" * 20_000)
                calling.shutdown(socket.SHUT_WR)
                size = sum(len(part) for part in iter(lambda: connection.recv(65_536), b""))
        assert size == 20_000
        return time.monotonic() - began_s


def test_lab_leaves_the_machine_alone(lab_here: None) -> None:
    """The machine's own interfaces are the same with the lab, in it, and after it."""

    def own() -> set[str]:
        return {name for _, name in socket.if_nameindex()}

    before = own()
    with Net(("a", "b")) as net:
        assert own() == before
        with net.hub.entered():
            assert {"lan", "desk"} <= own()
        assert own() == before
    assert own() == before

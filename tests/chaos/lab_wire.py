"""A wire with a delay: carries frames between two interfaces, each a random while later.

`tc netem` is not in every kernel. This relay runs as a process of its own in the hub's namespace
(`python -m tests.chaos.lab_wire A B DELAY_MS`), ends when its stdin does, keeps the order of the
frames in each direction and delays each by 0 to DELAY_MS, uniformly.
"""

import ctypes
import fcntl
import os
import random
import select
import socket
import struct
import sys
import time
from collections import deque

ETH_P_ALL = 0x0003
SIOCETHTOOL = 0x8946
# Sums and segments are made by the sender, so that every frame is whole when it is read here.
OFFLOADS = (0x17, 0x19, 0x1F, 0x24)  # ETHTOOL_STXCSUM, _SSG, _STSO, _SGSO
FRAME_MAX = 65_536
OPEN_S = 20.0


def without_offloads(interface: str) -> None:
    """Let an interface of this thread's namespace send finished frames.

    Raises:
        OSError: there is no such interface.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for command in OFFLOADS:
            value = ctypes.create_string_buffer(struct.pack("II", command, 0))
            request = struct.pack("16sP", interface.encode(), ctypes.addressof(value))
            fcntl.ioctl(control, SIOCETHTOOL, request.ljust(40, b"\0"))


def relay(first: str, second: str, delay_ms: int) -> None:
    """Carry frames both ways until stdin ends; says that it is there before it looks for them."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    ends = [_opened(first), _opened(second)]
    waiting: list[deque[tuple[float, bytes]]] = [deque(), deque()]
    dice = random.Random()
    poller = select.poll()
    for end in ends:
        poller.register(end, select.POLLIN)
    poller.register(0, select.POLLHUP | select.POLLIN)
    while True:
        due_s = min((queue[0][0] for queue in waiting if queue), default=None)
        now_s = time.monotonic()
        wait_ms = None if due_s is None else max(0.0, (due_s - now_s) * 1000)
        ready = {descriptor for descriptor, _ in poller.poll(wait_ms)}
        if 0 in ready:
            return
        now_s = time.monotonic()
        for place, end in enumerate(ends):
            if end.fileno() in ready:
                for frame in _read(end):
                    due = now_s + dice.uniform(0, delay_ms / 1000)
                    last = waiting[place][-1][0] if waiting[place] else 0.0
                    waiting[place].append((max(due, last), frame))
            other = ends[1 - place]
            while waiting[place] and waiting[place][0][0] <= now_s:
                try:
                    other.send(waiting[place].popleft()[1])
                except OSError:
                    continue  # that end's cable is pulled: the frame is lost


def _opened(interface: str) -> socket.socket:
    """Open an interface that may be about to be made."""
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    deadline_s = time.monotonic() + OPEN_S
    while True:
        try:
            end.bind((interface, 0))
        except OSError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.002)
        else:
            end.setblocking(False)
            return end


def _read(end: socket.socket) -> list[bytes]:
    """Return the frames that came in; not those that this relay sent."""
    frames: list[bytes] = []
    while True:
        try:
            frame, address = end.recvfrom(FRAME_MAX)
        except (BlockingIOError, OSError):
            return frames
        if address[2] != socket.PACKET_OUTGOING:
            frames.append(frame)


if __name__ == "__main__":
    os.nice(-10)  # a network has hardware of its own: hogs must not be what delays it
    relay(sys.argv[1], sys.argv[2], int(sys.argv[3]))

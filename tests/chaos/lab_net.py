"""Hosts on one switch, and what can go wrong between them.

```
   jetson ─┐                       every host also has a wire to the desk, where the test sits:
   pi ─────┤ hub (switch) ── ...   nodes do not know those addresses, no fault touches them
   venue ──┘
```

Rules of this file: faults live at the hub, as in a switch or a cable, so that neither end is told
of them. `cut` pulls a host's cable; `block`, `lose` and `slow` spoil what passes. `pull` takes a
host away as a power cut does: cable first, so that its peers see no FIN and no RST, then every
process, then all that its kernel knew; `plug` gives it back with an empty memory.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.chaos.lab_space import Namespace
from tests.chaos.lab_wire import without_offloads

LAN, DESK = "10.77.0", "10.78.0"
DESK_ADDRESS = f"{DESK}.1"
KILL_S = 20.0
ROOT = Path(__file__).parents[2]

# FIN and RST that passed the hub, counted for each host that sent them.
_ENDINGS = "table bridge endings"
_FAULTS = "table bridge faults"


@dataclass(slots=True)
class Host:
    """One box. `address` is what nodes know, `desk_address` what the test alone uses."""

    name: str
    number: int
    space: Namespace
    is_powered: bool = True

    @property
    def address(self) -> str:
        """Its address on the network between the boxes."""
        return f"{LAN}.{self.number}"

    @property
    def desk_address(self) -> str:
        """Its address on the test's own wire."""
        return f"{DESK}.{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PullProof:
    """What the hub saw of a host around a power cut: how many FIN and RST it sent on, and when.

    `cut_boot_s` is CLOCK_BOOTTIME just after the cable was pulled.
    """

    host: str
    cut_boot_s: float
    endings_before: int
    endings_after: int

    @property
    def is_silent(self) -> bool:
        """True when no peer can have seen a FIN or RST of the host."""
        return self.endings_before == self.endings_after


@dataclass(slots=True)
class Net:
    """Hub, desk and hosts; a context manager that removes all."""

    names: tuple[str, ...]
    hub: Namespace = field(init=False)
    hosts: dict[str, Host] = field(init=False, default_factory=dict)
    _blocked: dict[tuple[str, str], str] = field(init=False, default_factory=dict)
    _lost: dict[str, int] = field(init=False, default_factory=dict)
    _wires: dict[str, "subprocess.Popen[bytes]"] = field(init=False, default_factory=dict)

    def __enter__(self) -> Self:
        """Build everything: all links up, no fault."""
        self.hub = Namespace()
        for bridge in ("lan", "desk"):
            self.hub.run("ip", "link", "add", bridge, "type", "bridge", "forward_delay", "0")
            self.hub.run("ip", "link", "set", bridge, "up")
        self.hub.run("ip", "address", "add", f"{DESK_ADDRESS}/24", "dev", "desk")
        counters = "".join(f"counter {_counter(name)} {{ }}\n" for name in self.names)
        rules = "".join(
            f'iifname "{_port(name)}" tcp flags & (fin | rst) != 0 counter name {_counter(name)}\n'
            for name in self.names
        )
        # After the faults: what they drop has not passed.
        self.hub.run(
            "nft",
            "-f",
            "-",
            text=f"{_ENDINGS} {{\n{counters}chain pass {{\n"
            f"type filter hook forward priority 10; policy accept;\n{rules}}}\n}}\n",
        )
        for number, name in enumerate(self.names, start=11):
            self.hosts[name] = Host(name, number, Namespace())
            self._connect(self.hosts[name])
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of every namespace."""
        for name in tuple(self._wires):
            self.delay(name, jitter_ms=0)
        for host in self.hosts.values():
            if host.is_powered:
                host.space.close()
        self.hub.close()

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    # --- links -------------------------------------------------------------------------------

    def cut(self, *names: str) -> None:
        """Pull the network cable of each host: nothing passes, neither end's sockets close."""
        for name in names:
            self.hub.run("ip", "link", "set", _port(name), "down")

    def heal(self, *names: str) -> None:
        """Put the cable of each host back (of all hosts, if none is named)."""
        for name in names or self.names:
            if self.hosts[name].is_powered:
                self.hub.run("ip", "link", "set", _port(name), "up")

    def block(self, source: str, target: str) -> None:
        """Lose every packet from one host to another; the other direction stays as it is.

        Address resolution passes: else a one-way cut would become one both ways by and by.
        """
        self._blocked[source, target] = ""
        self._write_faults()

    def part(self, *groups: Iterable[str]) -> None:
        """Lose every packet between hosts of different groups."""
        lists = [tuple(group) for group in groups]
        for place, group in enumerate(lists):
            for other in lists[place + 1 :]:
                for a in group:
                    for b in other:
                        self._blocked[a, b] = self._blocked[b, a] = ""
        self._write_faults()

    def lose(self, percent: int, *names: str) -> None:
        """Lose some of the frames to and from each host, at random; 0 ends it."""
        for name in names or self.names:
            self._lost[name] = percent
        self._write_faults()

    def slow(self, name: str, *, kbit_s: int) -> None:
        """Send no faster than this to and from a host: what waits, queues (0 ends it)."""
        host = self.hosts[name]
        for space, port in ((self.hub, _port(name)), (host.space, "lan0")):
            with contextlib.suppress(AssertionError):  # there may be none
                space.run("tc", "qdisc", "del", "dev", port, "root")
            if kbit_s:
                limit = ("rate", f"{kbit_s}kbit", "burst", "3kb", "latency", "2s")
                space.run("tc", "qdisc", "add", "dev", port, "root", "tbf", *limit)

    def delay(self, name: str, *, jitter_ms: int) -> None:
        """Delay each frame to and from a host by up to so many milliseconds (0 ends it).

        The host keeps its connections; the cable is out for the moment of the change.
        """
        port, raw, inner = _port(name), f"w-{name}", f"x-{name}"
        wire = self._wires.pop(name, None)
        if wire is not None:
            assert wire.stdin is not None
            wire.stdin.close()
            wire.wait(KILL_S)
            self.hub.run("ip", "link", "del", port)
            self.hub.run("ip", "link", "set", raw, "down", "name", port)
            self.hub.run("ip", "link", "set", port, "master", "lan", "up")
            assert wire.stdout is not None
            wire.stdout.close()
        if jitter_ms:
            # Started first, so that the cable is out for a tenth of a second only.
            self._wires[name] = self._start_wire(raw, inner, jitter_ms)
            self.hub.run("ip", "link", "set", port, "nomaster", "down", "name", raw)
            self.hub.run(*("ip", "link", "add", port, "type", "veth", "peer", "name", inner))
            self.hub.run("ip", "link", "set", port, "master", "lan", "up")
            for end in (raw, inner):
                self.hub.run("ip", "link", "set", end, "up", "promisc", "on")

    def clear(self) -> None:
        """End everything that `block`, `part` and `lose` began."""
        self._blocked.clear()
        self._lost.clear()
        self._write_faults()

    @contextlib.contextmanager
    def blocked(self, *pairs: tuple[str, str]) -> Iterator[None]:
        """Lose every packet of these (source, target) pairs for the length of a block."""
        for source, target in pairs:
            self._blocked[source, target] = ""
        self._write_faults()
        try:
            yield
        finally:
            for pair in pairs:
                self._blocked.pop(pair, None)
            self._write_faults()

    def move(self, name: str, number: int) -> None:
        """Give a host another address, as DHCP may; peers that know the old one lose it."""
        host = self.hosts[name]
        old, host.number = host.address, number
        host.space.run("ip", "address", "del", f"{old}/24", "dev", "lan0")
        host.space.run("ip", "address", "add", f"{host.address}/24", "dev", "lan0")

    # --- power -------------------------------------------------------------------------------

    def pull(self, name: str, pids: Iterable[int]) -> PullProof:
        """Cut a host's power: first the cable, then every process of it, then its kernel's memory.

        Returns the proof that its peers saw none of its connections close.
        """
        host = self.hosts[name]
        assert name not in self._wires, "a delayed host cannot be unplugged"
        self.cut(name)
        cut_boot_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        before = self.endings(name)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in pids:
            _wait_gone(pid)
        after = self.endings(name)
        # Its sockets must not go on closing themselves when the cable is back.
        self.hub.run("ip", "link", "del", _port(name))
        self.hub.run("ip", "link", "del", _desk_port(name))
        host.space.close()
        host.is_powered = False
        return PullProof(
            host=name, cut_boot_s=cut_boot_s, endings_before=before, endings_after=after
        )

    def plug(self, name: str) -> None:
        """Give a host its power back: an empty network stack, the same addresses, the cable in."""
        host = self.hosts[name]
        host.space, host.is_powered = Namespace(), True
        self._connect(host)

    # --- looking -----------------------------------------------------------------------------

    def endings(self, name: str) -> int:
        """Count the FIN and RST of a host that the hub has passed on so far."""
        found = json.loads(self.hub.run("nft", "-j", "list", "counters"))["nftables"]
        return next(
            int(line["counter"]["packets"])
            for line in found
            if line.get("counter", {}).get("name") == _counter(name)
        )

    # --- parts -------------------------------------------------------------------------------

    def _connect(self, host: Host) -> None:
        wires = (
            ("lan", _port(host.name), "lan0", LAN),
            ("desk", _desk_port(host.name), "d0", DESK),
        )
        for bridge, port, inside, subnet in wires:
            mac = f"02:00:00:00:{'01' if bridge == 'lan' else '02'}:{host.number:02x}"
            self.hub.run(
                *("ip", "link", "add", port, "type", "veth", "peer", "name", inside),
                *("address", mac, "netns", host.space.path),
            )
            self.hub.run("ip", "link", "set", port, "master", bridge, "up")
            host.space.run("ip", "address", "add", f"{subnet}.{host.number}/24", "dev", inside)
            host.space.run("ip", "link", "set", inside, "up")
        with host.space.entered():
            without_offloads("lan0")

    def _start_wire(self, first: str, second: str, delay_ms: int) -> "subprocess.Popen[bytes]":
        wire = subprocess.Popen(
            [
                *self.hub.prefix,
                *(sys.executable, "-m", "tests.chaos.lab_wire", first, second, str(delay_ms)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        assert wire.stdout is not None
        assert wire.stdout.readline() == b"ready\n", "the relay did not start"
        return wire

    def _write_faults(self) -> None:
        lines = [
            f'iifname "{_port(a)}" oifname "{_port(b)}" ether type ip counter drop'
            for a, b in self._blocked
        ]
        for name, percent in self._lost.items():
            if percent:
                chance = f"numgen random mod 100 < {percent} counter drop"
                lines += [f'{way} "{_port(name)}" {chance}' for way in ("iifname", "oifname")]
        rules = "\n".join(lines)
        self.hub.run(
            "nft",
            "-f",
            "-",
            text=f"{_FAULTS}\ndelete {_FAULTS}\n{_FAULTS} {{\nchain pass {{\n"
            f"type filter hook forward priority 0; policy accept;\n{rules}\n}}\n}}\n",
        )


def _port(name: str) -> str:
    return f"l-{name}"


def _desk_port(name: str) -> str:
    return f"d-{name}"


def _counter(name: str) -> str:
    return f"of_{name}"


def _wait_gone(pid: int) -> None:
    """Wait until a killed process is gone or a zombie: then it has closed all it had."""
    deadline_s = time.monotonic() + KILL_S
    while _lives(pid):
        assert time.monotonic() < deadline_s, f"process {pid} did not end"
        time.sleep(0.005)


def _lives(pid: int) -> bool:
    """Tell whether a thread of the process still runs (a zombie's others may)."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        states = [(t / "stat").read_text("ascii", "replace").rpartition(")")[2] for t in tasks]
    except OSError:
        return Path(f"/proc/{pid}/task").exists()
    return any(state.split()[0] not in {"Z", "X"} for state in states)

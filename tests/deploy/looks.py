"""What the stories look at beside the product: what a box holds, who shows a secret, gaps.

Rules of this file: it reads boxes and this machine's process list, and changes nothing.
"""

import itertools
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from tests.deploy.boxes import Box
from tests.deploy.home import Home

SAMPLE_S = 0.05
# What a box changes by itself, or any package does: not what was left behind.
_MOVING = (
    *("/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp", "/var/log", "/home", "/root"),
    *("/var/cache/apt", "/var/lib/apt", "/var/cache/debconf", "/var/lib/dpkg", "/var/lib/systemd"),
    *("/var/cache/ldconfig", "/var/cache/man", "/etc/ld.so.cache", "/etc/.pwd.lock"),
    *("/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/etc/subuid-"),
    *("/etc/subgid-", "/etc/resolv.conf", "/etc/machine-id"),
)
_HOLDS = """
set -e
find / -xdev \\( {prune} \\) -prune -o ! -type d -printf 'file %p %y %m %u:%g %l\\n' \\
  -o -type d -printf 'folder %p %m %u:%g\\n'
find /etc -xdev \\( {prune} \\) -prune -o -type f -exec sha256sum {{}} +
dpkg-query -W -f 'package ${{Package}} ${{Status}}\\n' | grep ' installed$'
getent passwd | sed 's/^/user /'
getent group | sed 's/^/group /'
systemctl list-unit-files --no-legend --plain | grep -v ' transient ' | sed 's/^/unit /'
"""


def holdings(box: Box) -> set[str]:
    """Return files, folders, contents of /etc, packages, users and units of a box, line by line."""
    prune = " -o ".join(f"-path {path}" for path in _MOVING)
    return set(box.run(_HOLDS.format(prune=prune)).splitlines())


def readable_by_all(box: Box, secrets: Iterable[str]) -> list[str]:
    """Return files of a box in which somebody without rights finds a secret."""
    where = "/etc /opt /srv /usr/local /var /run /tmp /home"
    found = box.ssh(
        f"sudo -u nobody grep -rlsaF -f - {where}", text="\n".join(secrets), timeout_s=120
    )
    return found.stdout.splitlines()


def logged(box: Box, secrets: Iterable[str]) -> str:
    """Return lines of the journal and of our logs with a secret in them."""
    logs = "{ journalctl -a --no-pager; cat /var/lib/hotspare/*/log/*; } 2>/dev/null"
    # the patterns come in by the input of grep alone: sudo would log them as words
    found = box.ssh(
        f"cat >/tmp/patterns; sudo sh -c '{logs}' | grep -aF -f /tmp/patterns; rm /tmp/patterns",
        text="\n".join(secrets),
        timeout_s=120,
    )
    return found.stdout


class ProcessWatch:
    """Reads every command line of this machine, and so of all boxes, again and again."""

    def __init__(self, secrets: Iterable[str]) -> None:
        """Nothing is read yet."""
        self._secrets = [secret.encode() for secret in secrets]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.seen: set[bytes] = set()
        self.rounds = 0

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._stop.set()
        self._thread.join()

    @property
    def shown(self) -> list[bytes]:
        """Command lines with a secret."""
        return [line for line in self.seen if any(secret in line for secret in self._secrets)]

    def _run(self) -> None:
        while not self._stop.wait(SAMPLE_S):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(path.read_bytes())
                except OSError:
                    continue  # it has just ended
            self.rounds += 1


def accepted(home: Home, *, since: int = 0) -> list[tuple[int, str]]:
    """Return when the exchange accepted orders (its milliseconds), and whose."""
    return [
        (int(r["arrived_venue_ms"]), str(r["key"]))
        for r in home.requests()[since:]
        if r["type"] == "request" and r["method"] == "POST" and r["outcome"] == "accepted"
    ]


def handovers(orders: list[tuple[int, str]]) -> int:
    """Return how many times orders began to come from the other node."""
    return sum(a[1] != b[1] for a, b in itertools.pairwise(orders))


def longest_gap_s(orders: list[tuple[int, str]]) -> float:
    """Return the longest time between two orders."""
    gaps = [b[0] - a[0] for a, b in itertools.pairwise(orders)]
    return max(gaps, default=0) / 1000

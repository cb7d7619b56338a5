"""What this process last held or asked for, for whoever must release it post mortem (R16).

A small file in the state directory: written before a store is asked for an epoch and again when
the incarnations change, removed when the grant has ended in order.

Rules of this file:

- It must survive the death of the process, not that of the machine: a written page survives
  SIGKILL, and after a reboot the note says of itself that it is of another boot. So it is never
  fsynced, wears no card and delays no takeover.
- It belongs to one boot of one machine and to one directory (device and inode): a copied SD card,
  a restored backup or a copied folder has a note that counts for nothing. Otherwise the copy's
  stop hook would release the lease of the living original.
- An old note is harmless: the release matches nonce, epoch, state=held and the incarnation, and
  nobody ever holds under that nonce again once the process is dead.
"""

import contextlib
import json
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from election.address import StoreAddress
from election.model import Identity, Incarnation, NodeId, StoreName

FILE_NAME = "grant.json"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantLeft:
    """What a process that is dead left behind. `facts` is what the node added, as JSON values."""

    identity: Identity
    epoch: int
    incs: Mapping[StoreName, Incarnation]
    addresses: tuple[StoreAddress, ...]  # without passwords
    pid: int
    boot_id: str
    directory: str
    facts: Mapping[str, Any]

    def why_void(self, state_dir: Path) -> str:
        """Return why the note does not count here and now, empty when it does."""
        if self.boot_id != read_boot_id():
            return "it is of another boot of this machine, or of another machine"
        if self.directory != directory_mark(state_dir):
            return "it was written in another directory; this one is a copy"
        return ""


class GrantNote:
    """Writes and removes the note, in a thread of its own: a card that stalls delays nobody.

    Satisfies `election.ports.GrantNotes`.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        identity: Identity,
        addresses: Sequence[StoreAddress],
        facts: Mapping[str, Any],
    ) -> None:
        """Remember what never changes; nothing is written yet.

        Args:
            state_dir: the claimed state directory.
            identity: of this process.
            addresses: of the stores; passwords are left out.
            facts: what the node wants to find in the note, as JSON values.
        """
        self._state_dir = state_dir
        self._path = state_dir / FILE_NAME
        self._fixed: dict[str, Any] = {
            "v": _FORMAT,
            "pid": os.getpid(),
            "boot_id": read_boot_id(),
            "cluster_id": identity.cluster_id,
            "config_id": identity.config_id,
            "node_id": identity.node_id,
            "nonce": identity.nonce,
            "stores": [
                {
                    "name": a.name,
                    "host": a.host,
                    "port": a.port,
                    "username": a.username,
                    "old_list": a.old_list,
                }
                for a in addresses
            ],
            "facts": dict(facts),
        }
        self._orders: list[tuple[int, dict[StoreName, Incarnation]] | None] = []
        self._idle = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="grant-note", daemon=True)

    def held(self, epoch: int, incs: Mapping[StoreName, Incarnation]) -> None:
        """Note what is held, or about to be asked for, in which life of which store."""
        self._put((epoch, dict(incs)))

    def ended(self) -> None:
        """The grant ended in order: there is nothing to release."""
        self._put(None)

    def wait_written(self, timeout_s: float) -> bool:
        """Wait until everything told so far is on disk; for the end of a process, and tests."""
        until_s = time.monotonic() + timeout_s
        with self._idle:
            return self._idle.wait_for(lambda: not self._orders, until_s - time.monotonic())

    def _put(self, order: tuple[int, dict[StoreName, Incarnation]] | None) -> None:
        with self._idle:
            self._orders.append(order)
            self._idle.notify_all()
            if not self._thread.is_alive():
                self._thread.start()

    def _run(self) -> None:
        while True:
            with self._idle:
                self._idle.wait_for(lambda: bool(self._orders))
                order = self._orders[-1]  # only the newest counts
                taken = len(self._orders)
            if order is None:
                remove_grant(self._state_dir)
            else:
                self._write(*order)
            with self._idle:
                del self._orders[:taken]
                self._idle.notify_all()

    def _write(self, epoch: int, incs: Mapping[StoreName, Incarnation]) -> None:
        """Put the note in place of an older one; a death in between leaves one of the two.

        Raises nothing: a disk that refuses costs a ttl after a crash, not the lease, and an older
        note in its place stays harmless.
        """
        scratch = self._path.with_suffix(".new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        with contextlib.suppress(OSError):
            note = {
                **self._fixed,
                "directory": directory_mark(self._state_dir),
                "epoch": epoch,
                "incs": incs,
            }
            with os.fdopen(os.open(scratch, flags, 0o600), "w") as file:
                json.dump(note, file)
            scratch.replace(self._path)


def remove_grant(state_dir: Path) -> None:
    """Take the note away; a disk that refuses keeps it, which is harmless."""
    with contextlib.suppress(OSError):
        (state_dir / FILE_NAME).unlink(missing_ok=True)


def read_grant(state_dir: Path) -> GrantLeft | None:
    """Return what the dead process left, None when it left nothing that can be read.

    A note that is cut or of another format counts as none: the lease then runs out by itself.
    """
    try:
        note = json.loads((state_dir / FILE_NAME).read_text("utf-8"))
        if note["v"] != _FORMAT:
            return None
        return GrantLeft(
            identity=Identity(
                cluster_id=str(note["cluster_id"]),
                config_id=str(note["config_id"]),
                node_id=NodeId(note["node_id"]),
                nonce=str(note["nonce"]),
            ),
            epoch=int(note["epoch"]),
            incs={StoreName(n): Incarnation(str(i)) for n, i in dict(note["incs"]).items()},
            addresses=tuple(
                StoreAddress(
                    name=StoreName(s["name"]),
                    host=str(s["host"]),
                    port=int(s["port"]),
                    username=s["username"],
                    old_list=str(s.get("old_list", "")),  # absent in notes of older releases
                )
                for s in note["stores"]
            ),
            pid=int(note["pid"]),
            boot_id=str(note["boot_id"]),
            directory=str(note["directory"]),
            facts=dict(note["facts"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def read_boot_id() -> str:
    """Return what the kernel calls this boot; empty when it does not say."""
    try:
        return BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""


def directory_mark(state_dir: Path) -> str:
    """Return what tells a directory from its copies: device and inode."""
    found = state_dir.stat()
    return f"{found.st_dev}:{found.st_ino}"

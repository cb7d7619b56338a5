"""What a backup says about itself: its first member, checked before anything else is believed.

Rules of this file: pure. `FORMAT` grows only when an older release could not restore safely any
more; fields and members that this release does not know are kept in the file and left alone.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from node.errors import BackupRefused

FORMAT: Final = 1
NAME: Final = "manifest.json"
_MARK: Final = "hotspare_backup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Size and SHA-256 (hex) of one file in the backup."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Whose backup it is, and every file in it.

    `taken_ms` is Unix time by that box's clock, for people. `epoch`: the highest one that the node
    knew. `remarks`: what could not be read whole when it was taken, in words.
    """

    version: str
    cluster_id: str
    profile: str
    node_id: str
    taken_ms: int
    epoch: int
    members: Mapping[str, Member]
    remarks: tuple[str, ...] = ()

    @property
    def taken(self) -> str:
        """When it was taken, in UTC, for people."""
        when = datetime.fromtimestamp(self.taken_ms / 1000, UTC)
        return when.strftime("%Y-%m-%d %H:%M:%S UTC")

    @property
    def file_name(self) -> str:
        """A name that sorts by age and names the node."""
        when = datetime.fromtimestamp(self.taken_ms / 1000, UTC)
        return f"{file_stem(self.cluster_id, self.node_id)}{when.strftime('%Y%m%dT%H%M%SZ')}.tar.gz"


def file_stem(cluster_id: str, node_id: str) -> str:
    """Return how every backup of a node is called, up to the time."""
    return f"hotspare-{cluster_id}-{node_id}-"


def member_of(content: bytes) -> Member:
    """Return what the manifest says about this content."""
    return Member(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def render_manifest(manifest: Manifest) -> bytes:
    """Render as JSON."""
    body = {
        _MARK: FORMAT,
        "version": manifest.version,
        "cluster": manifest.cluster_id,
        "profile": manifest.profile,
        "node": manifest.node_id,
        "taken_ms": manifest.taken_ms,
        "epoch": manifest.epoch,
        "remarks": list(manifest.remarks),
        "members": {
            name: {"bytes": m.bytes, "sha256": m.sha256}
            for name, m in sorted(manifest.members.items())
        },
    }
    return json.dumps(body, indent=1).encode()


def parse_manifest(content: bytes) -> Manifest:
    """Parse it.

    Raises:
        BackupRefused: it is no manifest, or of a newer format.
    """
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        raise damaged("its manifest is not JSON") from None
    if not isinstance(body, dict) or not isinstance(body.get(_MARK), int):
        raise damaged("its manifest does not say that it is a backup of hotspare")
    if body[_MARK] > FORMAT:
        raise BackupRefused(
            f"the backup has format {body[_MARK]}, this release reads up to {FORMAT}\n    → "
            f"restore it with hotspare {body.get('version', 'of a newer release')} or newer"
        )
    try:
        return _from_body(body)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise damaged("its manifest lacks a field, or one is of another type") from None


def _from_body(body: Mapping[str, Any]) -> Manifest:
    members = {
        str(name): Member(bytes=int(m["bytes"]), sha256=str(m["sha256"]))
        for name, m in body["members"].items()
    }
    manifest = Manifest(
        version=str(body["version"]),
        cluster_id=str(body["cluster"]),
        profile=str(body["profile"]),
        node_id=str(body["node"]),
        taken_ms=int(body["taken_ms"]),
        epoch=int(body["epoch"]),
        remarks=tuple(str(r) for r in body["remarks"]),
        members=members,
    )
    if not manifest.taken:  # an instant that no calendar has raises
        raise ValueError("no time")
    return manifest


def refuse_foreign(manifest: Manifest, *, cluster_id: str, node_ids: tuple[str, ...]) -> None:
    """Refuse a backup of another cluster, or of a node that is not among `node_ids`.

    Raises:
        BackupRefused: it belongs elsewhere.
    """
    if manifest.cluster_id != cluster_id:
        raise BackupRefused(
            f"it is a backup of cluster {manifest.cluster_id}, this is {cluster_id}\n    → take a "
            "backup of this cluster (the profile is the first word of its name)"
        )
    if manifest.node_id not in node_ids:
        raise BackupRefused(
            f"it is a backup of node {manifest.node_id}, this is {' or '.join(node_ids)}\n    → "
            "epochs, journal and crashes belong to one node: take that node's own backup"
        )


def damaged(why: str) -> BackupRefused:
    """Return the refusal of a file that is not whole."""
    return BackupRefused(
        f"the backup is damaged: {why}\n    → take another one; nothing was changed"
    )

"""The file of a backup: a .tar.gz whose first member is the manifest.

Rules of this file: pure. `unpack` believes nothing: every name, size and hash is held against the
manifest, and whatever is more, less or different refuses the whole file. Equal content makes equal
bytes. All is held in memory; `TOTAL_MAX` bounds it.
"""

import gzip
import io
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final

from node.backup.manifest import (
    NAME,
    Manifest,
    damaged,
    member_of,
    parse_manifest,
    render_manifest,
)

TOTAL_MAX: Final = 64 * 1024 * 1024
"""Journals end at 4 MiB each, decisions at 8 MiB; anything near this is no backup of ours."""
_LEVEL: Final = 6


def pack(manifest: Manifest, contents: Mapping[str, bytes]) -> bytes:
    """Return the file; `contents` are exactly the manifest's members."""
    assert set(contents) == set(manifest.members)
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in ((NAME, render_manifest(manifest)), *sorted(contents.items())):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), 0o600, manifest.taken_ms // 1000
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(held.getvalue(), compresslevel=_LEVEL, mtime=manifest.taken_ms // 1000)


def unpack(content: bytes) -> tuple[Manifest, Mapping[str, bytes]]:
    """Return the manifest and every member, all of it checked.

    Raises:
        BackupRefused: damaged, or of a newer format.
    """
    members = _members(_gunzip(content))
    first = next(iter(members), None)
    if first != NAME:
        raise damaged("it does not begin with a manifest")
    manifest = parse_manifest(members.pop(NAME))
    more, fewer = members.keys() - manifest.members.keys(), manifest.members.keys() - members.keys()
    if more or fewer:
        names = ", ".join(sorted(more | fewer))
        raise damaged(f"{names}: in the file or in its manifest, not in both")
    for name, inside in members.items():
        if member_of(inside) != manifest.members[name]:
            raise damaged(f"{name} is not what the manifest says (SHA-256)")
    return manifest, members


def _gunzip(content: bytes) -> bytes:
    reader = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        text = reader.decompress(content, TOTAL_MAX)
    except zlib.error:
        raise damaged("it is no gzip file, or not a whole one") from None
    if reader.unconsumed_tail:
        raise damaged(f"it holds more than {TOTAL_MAX} bytes")
    if not reader.eof or reader.unused_data:
        raise damaged("it is cut, or something was added to it")
    return text


def _members(text: bytes) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(text), mode="r:") as archive:
            for entry in archive:
                path = PurePosixPath(entry.name)
                is_plain = entry.isreg() and not path.is_absolute() and ".." not in path.parts
                if not is_plain or str(path) != entry.name or entry.name in found:
                    raise damaged(f"{entry.name!r} is no plain file, or there twice")
                file = archive.extractfile(entry)
                assert file is not None  # a regular file has content
                found[entry.name] = file.read()
    except (tarfile.TarError, EOFError, ValueError):
        raise damaged("what is inside is no tar file, or not a whole one") from None
    return found

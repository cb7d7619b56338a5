"""Reading one node for a backup, while it runs: an edge, and nothing is written here.

Rules of this file: files are replaced by renaming or grow at their end, so one reading is always
one state; a tail that was being written is cut off. The epoch is read last. What cannot be read
whole is remarked, not left out silently.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from exchange.errors import JournalError
from exchange.journal_file import parse_journal
from node.backup.manifest import Manifest, member_of
from node.backup.members import CONFIG, DECISIONS, SECRETS, STATE, TAKEN, highest_epoch
from node.backup.pack import pack
from node.config_model import Config
from node.errors import BackupRefused
from node.events import Stream
from node.log_reader import log_files, parse_line
from node.state_files import CONTROL_FILE, JOURNAL_FILE
from node.version import program_version

DECISIONS_MAX = 8 * 1024 * 1024
BESIDE = ("requirements.txt", "requirements.lock")
"""What an owner may have beside cluster.toml for the strategies."""
_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is backed up. `sealed_secrets` is None for a backup without secrets."""

    config: Config
    node_id: str
    taken_ms: int
    sealed_secrets: bytes | None = None
    with_decisions: bool = False


def take(wanted: Wanted) -> tuple[Manifest, bytes]:
    """Return the manifest and the whole file.

    Raises:
        BackupRefused: there is nothing to back up, or a file cannot be read.
    """
    config, remarks = wanted.config, list[str]()
    state = _read_state(config.node_state_dir(wanted.node_id), remarks)
    contents = {f"{CONFIG}{name}": text for name, text in read_settings(config, remarks).items()}
    contents |= {f"{STATE}{name}": content for name, content in state.items()}
    if wanted.with_decisions:
        contents[DECISIONS] = _decisions(config.log_dir(wanted.node_id))
    if wanted.sealed_secrets is not None:
        contents[SECRETS] = wanted.sealed_secrets
    manifest = Manifest(
        version=program_version(),
        cluster_id=config.cluster_id,
        profile=config.cluster.profile.value,
        node_id=wanted.node_id,
        taken_ms=wanted.taken_ms,
        epoch=highest_epoch(state),
        remarks=tuple(remarks),
        members={name: member_of(content) for name, content in contents.items()},
    )
    return manifest, pack(manifest, contents)


def read_settings(config: Config, remarks: list[str]) -> Mapping[str, bytes]:
    """Return cluster.toml, its overlays and the strategies' files, by path beside cluster.toml.

    The marker of a new cluster is left out: a cluster that is backed up is not new.
    """
    assert config.path is not None
    folder = config.directory.resolve()
    found = {"cluster.toml": _read(config.path)}
    for overlay in sorted(config.directory.glob(f"{config.path.stem}.*{config.path.suffix}")):
        found[f"cluster.{overlay.name.removeprefix(f'{config.path.stem}.')}"] = _read(overlay)
    for path in (folder / name for name in BESIDE):
        if path.exists():
            found[path.name] = _read(path)
    for strategy in config.strategies:
        path = (folder / strategy.use).resolve()
        if not strategy.use.endswith(".py"):
            continue
        if path.is_relative_to(folder):
            found[str(path.relative_to(folder))] = _read(path)
        else:
            remarks.append(f"{strategy.use} lies outside {folder} and is not in the backup")
    return found


def _read_state(folder: Path, remarks: list[str]) -> dict[str, bytes]:
    if not folder.is_dir():
        raise BackupRefused(
            f"{folder}: is not there: this node never ran here\n    → say on which node with "
            "--node, or where its state is with state_dir in cluster.toml"
        )
    found: dict[str, bytes] = {}
    for name in TAKEN:
        path = folder / name
        try:
            is_journal = name in {JOURNAL_FILE, CONTROL_FILE}
            found[name] = _read_journal(path, remarks) if is_journal else _read(path)
        except FileNotFoundError:
            continue
    return found


def _read_journal(path: Path, remarks: list[str]) -> bytes:
    damaged = 0
    content = b""
    for _ in range(_TRIES):  # a write that failed and is repeated may show half a line
        content = _read(path)
        try:
            found = parse_journal(content, path)
        except JournalError as error:
            raise BackupRefused(str(error)) from None
        damaged = found.damaged_lines
        if not damaged:
            return content[: found.good_bytes]
    remarks.append(
        f"{path.name} has {damaged} damaged line(s): the disk may be failing (dmesg); the rest of "
        "it is in the backup"
    )
    return content


def _decisions(folder: Path) -> bytes:
    """Return the newest lines about decisions, oldest first."""
    from node.logs import FILE_NAME  # noqa: PLC0415  (pulls in the whole log)

    kept: list[bytes] = []
    for path in log_files(folder / FILE_NAME):
        for raw in _read(path).splitlines(keepends=True):
            line = parse_line(raw.decode("utf-8", "replace"))
            if line is not None and line.get("stream") == Stream.DECISIONS.value:
                kept.append(raw)
    size, start = 0, len(kept)
    while start and size + len(kept[start - 1]) <= DECISIONS_MAX:
        start -= 1
        size += len(kept[start])
    return b"".join(kept[start:])


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BackupRefused(f"{path}: cannot be read: {error.strerror}") from error

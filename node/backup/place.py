"""Putting a backup somewhere: into a node's state directory, into a new folder, or to try it.

Rules of this file: nothing is written before the whole backup was checked; a directory in which a
node has run is left alone; a restore that broke off is simply run again. Calls block.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from alerts.outbox_file import OutboxFile
from election.durable import write_all
from election.epoch_file import DiskEpochFile
from election.errors import IdentityRefused, StateDirUnusable
from election.state_lock import StateClaim
from exchange.errors import JournalError
from exchange.journal_file import JournalFile
from node.backup.manifest import Manifest
from node.backup.members import CONFIG, LIVED_IN, SECRETS, STATE, Restored, plan_state
from node.backup.pack import unpack
from node.config import load_config
from node.errors import BackupRefused, CommandRefused, NodeError
from node.restored import RestoredControls
from node.secrets import FOLDER as SECRETS_FOLDER
from node.state_files import EPOCH_FILE, JOURNAL_FILE, OUTBOX_FILE

_OURS = 0o600
_FOLDER = 0o700


def check(content: bytes) -> tuple[Manifest, Restored]:
    """Restore it into a scratch directory and read everything back as a node would.

    Raises:
        BackupRefused: it could not be restored.
    """
    manifest, members = unpack(content)
    plan = plan_of(manifest, members)
    with tempfile.TemporaryDirectory(prefix="hotspare-restore-") as scratch:
        folder = Path(scratch) / "cluster"
        _write_folder(folder, manifest, members, secrets=None)
        try:
            _read_back(folder, manifest, plan)
        except (NodeError, JournalError, OSError) as error:
            said = error.render() if isinstance(error, NodeError) else str(error)
            raise BackupRefused(
                f"the backup cannot be restored: {said.replace(str(folder), 'restored')}\n"
                "    → take another one"
            ) from None
    return manifest, plan


def plan_of(manifest: Manifest, members: Mapping[str, bytes]) -> Restored:
    """Return what the node's state directory gets. Raises BackupRefused."""
    state = {n.removeprefix(STATE): c for n, c in members.items() if n.startswith(STATE)}
    return plan_state(state, said_epoch=manifest.epoch)


def restore_state(plan: Restored, state_dir: Path) -> None:
    """Write the files of a node that has never run here; all of them durable, or none.

    Raises:
        CommandRefused: the node runs, has run here, or the disk refuses.
    """
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=_FOLDER)
        with StateClaim(state_dir):
            _refuse_lived_in(plan, state_dir)
            write_all({state_dir / name: (text, _OURS) for name, text in plan.files.items()})
    except StateDirUnusable as error:  # it says itself what mends it
        raise CommandRefused(str(error)) from None
    except IdentityRefused as error:
        raise CommandRefused(
            str(error), mend="a backup is restored before the node's first start on a fresh card"
        ) from None
    except OSError as error:
        raise CommandRefused(
            f"{state_dir}: {error.strerror or error}", mend="make it writable, and run it again"
        ) from error


def restore_folder(
    folder: Path, manifest: Manifest, members: Mapping[str, bytes], *, secrets: bytes | None
) -> None:
    """Make a cluster's folder out of a backup: settings, strategies, state, secrets if given.

    Raises:
        BackupRefused: the backup cannot be used.
        CommandRefused: the folder has something in it, or cannot be written.
    """
    folder = folder.absolute()  # "." has no name that another one could stand beside
    try:
        if folder.exists() and any(folder.iterdir()):
            raise CommandRefused(
                f"{folder} is not empty", mend="name a folder that is not there yet"
            )
        beside = folder.with_name(f".{folder.name}.restoring")
        shutil.rmtree(beside, ignore_errors=True)
        _write_folder(beside, manifest, members, secrets=secrets)
        beside.replace(folder)
    except OSError as error:
        raise CommandRefused(
            f"{folder}: {error.strerror or error}",
            mend="make it writable, or name a folder elsewhere, and run it again",
        ) from error


def _refuse_lived_in(plan: Restored, state_dir: Path) -> None:
    found = [
        name
        for name in LIVED_IN
        if (path := state_dir / name).exists()
        and (name not in plan.files or path.read_text("utf-8", "replace") != plan.files[name])
    ]
    if found:
        raise CommandRefused(
            f"{state_dir} has {', '.join(found)}: a node has run here and knows more than a backup",
            mend="leave it: it takes the rest from the stores and the other node. To begin anew "
            f"with the backup, stop the node and move {state_dir} away first",
        )


def _write_folder(
    folder: Path, manifest: Manifest, members: Mapping[str, bytes], *, secrets: bytes | None
) -> None:
    state = folder / "state" / manifest.node_id
    state.mkdir(parents=True, mode=_FOLDER)
    folder.chmod(_FOLDER)
    for name, content in members.items():
        if name.startswith(CONFIG):
            _write(folder / name.removeprefix(CONFIG), content)
        elif not name.startswith(STATE) and name != SECRETS:
            _write(folder / name, content)
    plan = plan_of(manifest, members)
    write_all({state / name: (text, _OURS) for name, text in plan.files.items()})
    if secrets is not None:
        _write(folder / SECRETS_FOLDER / f"{manifest.node_id}.toml", secrets)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=_FOLDER)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, _OURS), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _read_back(folder: Path, manifest: Manifest, plan: Restored) -> None:
    """Open everything as a node would, and hold it against the plan."""
    config = load_config(folder / "cluster.toml", profile=manifest.profile, environ={})
    if config.cluster_id != manifest.cluster_id or manifest.node_id not in config.nodes:
        raise BackupRefused("its cluster.toml is of another cluster than its manifest")
    state = folder / "state" / manifest.node_id
    if JOURNAL_FILE in plan.files:
        journal = JournalFile.open(state / JOURNAL_FILE)
        journal.close()
        if journal.warnings:
            raise BackupRefused("; ".join(journal.warnings))
    if RestoredControls.found_in(state) is None:
        raise BackupRefused("it has no control records, not even empty ones")
    if OUTBOX_FILE in plan.files:
        outbox = OutboxFile(state / OUTBOX_FILE)
        said = outbox.load().warning
        outbox.close()
        if said:
            raise BackupRefused(said)
    if DiskEpochFile(state / EPOCH_FILE).load() != plan.epoch:
        raise BackupRefused("its epoch does not come back as it was")

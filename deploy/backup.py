"""Backups of the boxes on the laptop, and a lost board's return from one.

Rules of this file: what was pulled is tried here before it gets its name, and belongs to this
cluster and that node; what is put back goes onto a box whose node has never run, before its first
start. What of it comes back, and in which form, is decided by nodectl restore (ADR 0051).
"""

from collections.abc import Mapping
from pathlib import Path

from deploy import places
from deploy.begun import tell_card
from deploy.box import Box, Say
from deploy.deployer import Wish, connected, deploy, refuse_empty
from deploy.desired import Target
from deploy.errors import DeployError
from deploy.inventory import find_place
from deploy.remote import node_names
from node.backup.manifest import Manifest, file_stem, refuse_foreign
from node.backup.place import check
from node.backup.seal import refuse_short
from node.backup.write import write_checked
from node.cli.backup import REMARKED
from node.cli.passphrase import read_passphrase
from node.config_model import Config
from node.errors import BackupRefused, NodeError

FOLDER = "backups"


def back_up(wish: Wish, environ: Mapping[str, str], say: Say, *, with_secrets: bool) -> int:
    """Pull a fresh backup of every node into the cluster's folder; return how many there are.

    Raises:
        DeployError: a box could not be backed up; the others were.
    """
    passphrase = None
    if with_secrets:
        passphrase = read_passphrase(None, environ, is_new=True)
        refuse_short(passphrase)  # before a box is asked, and once for all of them
    folder = wish.config.directory / FOLDER
    if not wish.is_dry:
        _make_private(folder)
    made, problems = 0, list[str]()
    for name in node_names(wish.config):
        try:
            say(f"{name}: {_pull(name, wish, folder, say, passphrase)}")
            made += 1
        except (DeployError, NodeError) as error:
            said = error.render() if isinstance(error, NodeError) else str(error)
            problems.append(f"{name}: no backup: {said}")
    if problems:
        raise DeployError("\n".join([f"{made} of {made + len(problems)} boxes", *problems]))
    return made


def _pull(name: str, wish: Wish, folder: Path, say: Say, passphrase: str | None) -> str:
    place = find_place(wish.config, name)  # HOST= names one box, these are all
    with connected(place, wish, say) as box:
        if wish.is_dry:
            return f"a backup would be written to {folder}; nothing was touched (DRY_RUN)"
        refuse_empty(box)
        words = [places.NODECTL, "backup", "--to", "-", "--with-decisions"]
        given = b""
        if passphrase is not None:
            words += ["--with-secrets", "--passphrase-fd", "0"]
            given = f"{passphrase}\n".encode()
        content, said = box.shell.fetch(*words, given=given, accepted=(0, REMARKED))
    manifest, _ = check(content)
    refuse_foreign(manifest, cluster_id=wish.config.cluster_id, node_ids=(name,))
    path = folder / manifest.file_name
    write_checked(content, path)
    remarks = f"\n  note: {said}" if manifest.remarks else ""
    return f"{path} ({len(content) / 1000:.0f} kB, epoch {manifest.epoch}, tried here){remarks}"


def restore(name: str, wish: Wish, say: Say, file: Path | None) -> int:
    """Bring a fresh card to what it was; return how many things changed.

    Without a file it is a deployment: settings and secrets from the cluster's folder, journal and
    epochs from the stores and the other node.

    Raises:
        DeployError: it could not be done, with what mends it; a second run resumes.
        BackupRefused: the file cannot be used for this box.
    """
    if file is None:
        say(f"no FILE: {name} gets its settings and secrets from {wish.config.directory}, and")
        say("  journal, epochs and decisions from the stores and the other node: this is deploying")
        newest = newest_backup(wish.config, name)
        if newest is not None:
            say(f"  if the other box is lost too, put a backup back: FILE={newest}")
        return deploy(name, wish, say, before_start=lambda box, _: tell_card(box))
    if name not in wish.config.nodes:
        raise DeployError(
            f"{name} runs no node: nothing of it is in a backup\n    → leave FILE= out"
        )
    content, manifest = _read(file, wish.config, name)
    say(f"{name}: from {file}, taken {manifest.taken}, epoch {manifest.epoch}")

    def put_back(box: Box, target: Target) -> None:
        _put_back(box, target, content)

    return deploy(name, wish, say, before_start=put_back)


def newest_backup(config: Config, name: str) -> Path | None:
    """Return the newest backup of a node in the cluster's folder, None for none."""
    found = (config.directory / FOLDER).glob(f"{file_stem(config.cluster_id, name)}*.tar.gz")
    return max(found, default=None, key=lambda path: path.name)


def _read(file: Path, config: Config, name: str) -> tuple[bytes, Manifest]:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DeployError(
            f"{file}: {error.strerror}\n    → FILE= is a file of `make backup`, or one from "
            f"{places.BACKUPS} of a box"
        ) from None
    try:
        manifest, _ = check(content)
        refuse_foreign(manifest, cluster_id=config.cluster_id, node_ids=(name,))
    except BackupRefused as refused:
        raise BackupRefused(f"{file}: {refused}") from None
    return content, manifest


def _put_back(box: Box, target: Target, content: bytes) -> None:
    if box.is_dry:
        box.told("would\tstate of the node, from the backup")
        return
    if box.node_state().is_active:
        raise DeployError(
            f"{box.place.name}'s node runs there and knows more than a backup\n    → a restore is "
            f"for a fresh card; without FILE= this is just deploying"
        )
    # the links to what is in use do not exist yet on a fresh card
    settings = f"{places.SETTINGS}/{target.settings.set_id}/cluster.toml"
    nodectl = f"{places.RELEASES}/{target.release_id}/venv/bin/nodectl"
    environment = (
        f"HOTSPARE_CONFIG={settings}",
        f"HOTSPARE_NODE={box.place.name}",
        f"HOTSPARE__CLUSTER__PROFILE={target.config.cluster.profile.value}",
        f"HOTSPARE__STATE_DIR={places.STATE}",
    )
    # the folder in which root stands may be closed to the service's user
    words = ("sh", "-c", 'cd / && exec "$@"', "sh", "runuser", "-u", places.USER, "--", "env")
    said, _ = box.shell.fetch(*words, *environment, nodectl, "restore", "-", given=content)
    box.told("changed\tstate of the node, from the backup")
    box.say("\n".join(f"  {line}" for line in said.decode("utf-8", "replace").splitlines()))


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="ascii")

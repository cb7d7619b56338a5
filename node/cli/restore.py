"""nodectl restore: a backup's state onto a fresh card, its files into a new folder, or a trial."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from node.backup.manifest import Manifest, refuse_foreign
from node.backup.members import SECRETS, Restored
from node.backup.pack import TOTAL_MAX, unpack
from node.backup.place import check, restore_folder, restore_state
from node.cli.common import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    NodeOption,
    ProfileOption,
    find_node_id,
    open_config,
    say,
    say_json,
)
from node.cli.lazy import USAGE
from node.cli.passphrase import PassphraseFdOption, read_passphrase
from node.errors import CommandRefused

app = typer.Typer(add_completion=False)

FileArgument = Annotated[str, typer.Argument(metavar="FILE", help="A backup; - is standard input.")]
IntoOption = Annotated[
    Path | None, typer.Option("--into", help="Make a cluster's folder of it instead.")
]
CheckOption = Annotated[
    bool, typer.Option("--check", help="Only try it, in a scratch directory; change nothing.")
]
SecretsOption = Annotated[
    bool,
    typer.Option("--with-secrets", help="With --into: also the secrets, with the passphrase."),
]


@app.command()
def restore(
    file: FileArgument,
    config: ConfigOption = None,
    node: NodeOption = None,
    profile: ProfileOption = None,
    into: IntoOption = None,
    passphrase_fd: PassphraseFdOption = None,
    *,
    check_only: CheckOption = False,
    with_secrets: SecretsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Put a backup's state into this node's empty state directory, before its first start.

    Everything in the file is checked first; a damaged one, one of another cluster or node, or of a
    newer format is refused. A directory in which a node has run is left alone. Whatever the backup
    says, the node then asks the other one before it may lead, and stays paused if nobody knows
    whether the cluster may trade.

    --into DIR writes configuration, strategies and state into a new folder instead, and needs no
    configuration; --check only tries it.

    Exit codes: 0 done, or it can be restored · 1 refused, nothing was changed · 4 mend the
    configuration · 64 wrong usage.
    """
    if check_only and into is not None:
        raise CommandRefused("--check changes nothing", mend="leave out --into", exit_code=USAGE)
    if with_secrets and into is None:
        raise CommandRefused(
            "secrets come with --into only; a box gets its own by the deployment",
            mend="nodectl restore FILE --into DIR --with-secrets",
            exit_code=USAGE,
        )
    content = _read(file)
    manifest, plan = check(content)
    if into is not None:
        _, members = unpack(content)
        secrets = _secrets(manifest, members, passphrase_fd) if with_secrets else None
        restore_folder(into, manifest, members, secrets=secrets)
    elif check_only:
        if config is not None or DEFAULT_CONFIG.exists():
            settings = open_config(config, profile)
            names = tuple(settings.nodes) if node is None else (find_node_id(settings, node),)
            refuse_foreign(manifest, cluster_id=settings.cluster_id, node_ids=names)
    else:
        settings = open_config(config, profile)
        node_id = find_node_id(settings, node)
        refuse_foreign(manifest, cluster_id=settings.cluster_id, node_ids=(node_id,))
        restore_state(plan, settings.node_state_dir(node_id))
    if as_json:
        say_json({"manifest": manifest, "files": sorted(plan.files), "notes": plan.notes})
        return
    say(_in_words(manifest, plan, check_only=check_only, into=into))


def _read(file: str) -> bytes:
    try:
        if file == "-":
            return sys.stdin.buffer.read(TOTAL_MAX)
        with Path(file).open("rb") as opened:
            return opened.read(TOTAL_MAX)
    except OSError as error:
        raise CommandRefused(
            f"{file}: {error.strerror}", mend="name a file that `nodectl backup` wrote"
        ) from None


def _secrets(manifest: Manifest, members: Mapping[str, bytes], fd: int | None) -> bytes:
    from node.backup.seal import unseal  # noqa: PLC0415  (only where it is asked for)

    if SECRETS not in members:
        raise CommandRefused("there are no secrets in this backup", mend="leave out --with-secrets")
    passphrase = read_passphrase(fd, os.environ, is_new=False)
    return unseal(
        members[SECRETS], passphrase, cluster_id=manifest.cluster_id, node_id=manifest.node_id
    )


def _in_words(manifest: Manifest, plan: Restored, *, check_only: bool, into: Path | None) -> str:
    whose = f"{manifest.node_id} of {manifest.cluster_id}, taken {manifest.taken}"
    done = "can be restored" if check_only else "restored"
    where = f" into {into}" if into is not None else ""
    lines = [f"{done}{where}: {whose} by hotspare {manifest.version}, epoch {plan.epoch}"]
    lines += [f"  note: {note}" for note in (*manifest.remarks, *plan.notes)]
    return "\n".join(lines)

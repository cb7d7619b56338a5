"""nodectl backup: configuration, strategies and state of this node in one file, while it trades."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from node.backup.collect import Wanted, take
from node.backup.manifest import Manifest
from node.backup.note import write_note
from node.backup.place import check
from node.backup.write import prune, write_checked
from node.cli.common import (
    ConfigOption,
    JsonOption,
    NodeOption,
    ProfileOption,
    find_node_id,
    open_config,
    say,
    say_json,
    wall_ms,
)
from node.cli.passphrase import PassphraseFdOption, read_passphrase
from node.config import Config
from node.errors import BackupRefused, CommandRefused, NodeError
from node.secrets import load_secrets, secrets_path

app = typer.Typer(add_completion=False)
REMARKED = 3
KEPT = 7
_CRITICAL = "<2>"  # what journald takes for a priority

ToOption = Annotated[
    str, typer.Option("--to", help="File or folder to write to; - is standard output.")
]
SecretsOption = Annotated[
    bool, typer.Option("--with-secrets", help="Also this node's secrets, encrypted.")
]
DecisionsOption = Annotated[
    bool, typer.Option("--with-decisions", help="Also the log's lines about decisions.")
]
ScheduledOption = Annotated[
    bool,
    typer.Option("--scheduled", help="For a timer: keep the newest 7, note the outcome."),
]


@app.command()
def backup(
    to: ToOption = ".",
    config: ConfigOption = None,
    node: NodeOption = None,
    profile: ProfileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    *,
    with_secrets: SecretsOption = False,
    with_decisions: DecisionsOption = False,
    scheduled: ScheduledOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write configuration, strategies and state of this node into one file; it may trade on.

    The file is restored into a scratch directory before it gets its name. Secrets are in it only
    with --with-secrets, and only encrypted, with a passphrase from a prompt, --passphrase-fd or
    HOTSPARE_BACKUP_PASSPHRASE. Promises, grants and locks never are.

    Exit codes: 0 written and tried · 1 not written · 3 written, but a part of the state was
    damaged · 4 mend configuration or secrets · 64 wrong usage.
    """
    settings = open_config(config, profile)
    node_id = find_node_id(settings, node)
    state_dir, now_ms = settings.node_state_dir(node_id), wall_ms()
    try:
        sealed = _sealed(settings, node_id, passphrase_fd) if with_secrets else None
        manifest, content = take(
            Wanted(
                config=settings,
                node_id=node_id,
                taken_ms=now_ms,
                sealed_secrets=sealed,
                with_decisions=with_decisions,
            )
        )
        path = _write(manifest, content, to)
        if scheduled and path is not None:
            prune(path.parent, manifest, kept=KEPT)
    except NodeError as error:
        if scheduled and state_dir.is_dir():
            write_note(state_dir, now_ms=now_ms, problem=str(error).splitlines()[0])
            sys.stderr.write(f"{_CRITICAL}hotspare: no backup of {node_id}: {error}\n")
        raise
    remarked = "; ".join(manifest.remarks)
    if scheduled:
        write_note(state_dir, now_ms=now_ms, problem=remarked)
    if path is not None and as_json:
        say_json({"path": str(path), "manifest": manifest})
    elif path is not None:
        say(_in_words(manifest, path))
    if remarked:
        prefix = _CRITICAL if scheduled else ""
        sys.stderr.write(f"{prefix}hotspare: written, but: {remarked}\n")
        raise typer.Exit(REMARKED)


def _sealed(config: Config, node_id: str, fd: int | None) -> bytes:
    from node.backup.seal import seal, unseal  # noqa: PLC0415  (only where it is asked for)

    path = secrets_path(config, node_id, os.environ)
    load_secrets(config, node_id, os.environ)  # refused in words where it is no secrets file
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CommandRefused(
            f"{path}: {error.strerror}", mend="leave --with-secrets out, or bring the file back"
        ) from None
    passphrase = read_passphrase(fd, os.environ, is_new=True)
    sealed = seal(content, passphrase, cluster_id=config.cluster_id, node_id=node_id)
    if unseal(sealed, passphrase, cluster_id=config.cluster_id, node_id=node_id) != content:
        raise BackupRefused(
            "what was sealed does not open\n    → run it again; if it stays so, distrust this "
            "machine's memory and take the backup on another one (make backup)"
        )
    return sealed


def _write(manifest: Manifest, content: bytes, to: str) -> Path | None:
    if to == "-":
        check(content)
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return None
    path = Path(to)
    path = path / manifest.file_name if path.is_dir() else path
    write_checked(content, path)
    return path


def _in_words(manifest: Manifest, path: Path) -> str:
    size_kb = path.stat().st_size / 1000
    return (
        f"{path}: {manifest.node_id} of {manifest.cluster_id}, {len(manifest.members)} files, "
        f"{size_kb:.0f} kB, epoch {manifest.epoch}; restored into a scratch directory and read back"
    )

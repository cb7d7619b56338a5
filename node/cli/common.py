"""What several verbs share: options, finding the configuration and this node, output."""

import getpass
import json
import os
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer

from election.peek import ClusterPeek, peek
from node.config import Config, load_config
from node.errors import CommandRefused
from node.secrets import Secrets, has_secrets, load_secrets
from node.store_addresses import store_addresses
from node.this_node import guess_node_id

DEFAULT_CONFIG = Path("cluster.toml")
NODE_VARIABLE = "HOTSPARE_NODE"

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", envvar="HOTSPARE_CONFIG", help="cluster.toml to use."),
]
ProfileOption = Annotated[
    str | None, typer.Option("--profile", help="dev, test or prod instead of the file's.")
]
NodeOption = Annotated[
    str | None,
    typer.Option("--node", "-n", envvar=NODE_VARIABLE, help="Which node this machine is."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def open_config(path: Path | None, profile: str | None = None) -> Config:
    """Load the configuration that was named or lies here. Raises ConfigRefused."""
    return load_config(path or DEFAULT_CONFIG, profile=profile, environ=os.environ)


def find_node_id(config: Config, given: str | None) -> str:
    """Return which node this machine is: named, by its only secrets file, or by its host name.

    Raises:
        CommandRefused: it cannot be told, or there is no such node.
    """
    if given is not None:
        if given not in config.nodes:
            known = ", ".join(config.nodes)
            raise CommandRefused(f"there is no node {given!r}", mend=f"use one of: {known}")
        return given
    found = guess_node_id(config, os.environ)
    if found is None:
        raise CommandRefused(
            "it cannot be told which node this machine is",
            mend=f"say --node with one of: {', '.join(config.nodes)} (or set {NODE_VARIABLE})",
        )
    return found


def open_secrets(config: Config, node: str | None) -> Secrets:
    """Load the secrets that a look at the stores needs: of the named node, else of any here.

    Raises:
        CommandRefused: there is no such node.
        SecretsRefused: the file cannot be used.
    """
    names = [find_node_id(config, node)] if node is not None else list(config.nodes)
    for name in names:
        if has_secrets(config, name, os.environ):
            return load_secrets(config, name, os.environ)
    return load_secrets(config, names[0], os.environ)


def look(config: Config, secrets: Secrets) -> ClusterPeek:
    """Take one look at all stores; bounded by the store request timeout."""
    return peek(
        store_addresses(config, secrets),
        cluster_id=config.cluster_id,
        timeout_s=config.lease.request_timeout_ms / 1000,
    )


def refuse_silence(seen: ClusterPeek, *, exit_code: int) -> None:
    """Refuse to go on when no store answers. Raises CommandRefused with this exit code."""
    if not seen.answered:
        said = "; ".join(str(s.error) for s in seen.stores)
        raise CommandRefused(
            f"no store answers: {said}",
            mend="look at power and network of their boxes, and from where you ask",
            exit_code=exit_code,
        )


def who_asks() -> str:
    """Return who sits at this command line, for the record of a decision."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a system user without a name
        user = str(os.getuid())
    return f"{user} on {socket.gethostname()}"


def wall_ms() -> int:
    """Return Unix time in milliseconds, for people."""
    return time.time_ns() // 1_000_000


def local_zone() -> tzinfo:
    """Return this machine's time zone, for display."""
    zone = datetime.now().astimezone().tzinfo
    assert zone is not None
    return zone


def say(text: str) -> None:
    """Print one line or block."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def say_json(value: Any) -> None:
    """Print a value as JSON; money becomes text."""
    say(json.dumps(to_plain(value), indent=2, ensure_ascii=False))


def to_plain(value: Any) -> Any:
    """Return the value as JSON has it: values by field, Decimal as exact text."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_plain(v) for v in value]
    if isinstance(value, Decimal):
        return format(value, "f")
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)

"""nodectl config: check what is configured, and show it."""

import typer

from node.cli.common import (
    ConfigOption,
    JsonOption,
    NodeOption,
    ProfileOption,
    find_node_id,
    open_config,
    open_secrets,
    say,
    say_json,
)
from node.config import Config, topology_sentence, topology_warnings
from node.errors import CommandRefused
from node.secrets import secrets_path

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Check and show the configuration."
)
MASK = "****"


@app.command()
def check(
    config: ConfigOption = None,
    node: NodeOption = None,
    profile: ProfileOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Check configuration and secrets without starting anything; lists every problem at once.

    Exit codes: 0 usable · 4 something must be mended.
    """
    settings = open_config(config, profile)
    node_id = _node_or_none(settings, node)
    secrets = open_secrets(settings, node_id)
    missing = "" if secrets.venue.api_key and secrets.venue.api_secret else "venue API key"
    warnings = [*topology_warnings(settings)]
    if missing:
        warnings.append(f"secrets: no {missing} is here for {node_id or 'any node'}")
    if settings.telegram.chat_id is not None and secrets.telegram_token() is None:
        warnings.append("secrets: telegram.chat_id is set, but no telegram.token is here")
    if as_json:
        say_json(
            {
                "cluster_id": settings.cluster_id,
                "config_id": settings.config_id,
                "topology": topology_sentence(settings),
                "warnings": warnings,
            }
        )
        return
    say(f"{settings.path}: usable; cluster {settings.cluster_id}, stores {settings.config_id}")
    if not any(topology_sentence(settings) in warning for warning in warnings):
        say(topology_sentence(settings))
    for warning in warnings:
        say(f"! {warning}")


@app.command()
def show(
    config: ConfigOption = None,
    node: NodeOption = None,
    profile: ProfileOption = None,
) -> None:
    """Print the whole configuration as it counts (JSON, defaults filled in, secrets masked).

    Exit codes: 0 shown · 4 something must be mended.
    """
    settings = open_config(config, profile)
    node_id = _node_or_none(settings, node)
    secrets = open_secrets(settings, node_id)
    masked = {
        "venue": {
            "api_key": _mask(secrets.venue.api_key),
            "api_secret": _mask(secrets.venue.api_secret),
        },
        "stores": {name: {"password": _mask(s.password)} for name, s in secrets.stores.items()},
        "telegram": {"token": _mask(secrets.telegram.token)},
    }
    say_json({**settings.model_dump(mode="json"), "secrets": masked})


@app.command()
def paths(
    config: ConfigOption = None,
    node: NodeOption = None,
    profile: ProfileOption = None,
) -> None:
    """Print where this node keeps its files.

    Exit codes: 0 shown · 1 it cannot be told which node this is · 4 something must be mended.
    """
    import os  # noqa: PLC0415  (only this verb needs it)

    settings = open_config(config, profile)
    node_id = find_node_id(settings, node)
    say(f"configuration  {settings.path}")
    say(f"secrets        {secrets_path(settings, node_id, os.environ)}")
    say(f"state          {settings.node_state_dir(node_id)}")
    say(f"log            {settings.log_dir(node_id)}")


def _node_or_none(config: Config, given: str | None) -> str | None:
    if given is not None:
        return find_node_id(config, given)
    try:
        return find_node_id(config, None)
    except CommandRefused:
        return None


def _mask(value: object) -> str | None:
    return None if value is None else MASK

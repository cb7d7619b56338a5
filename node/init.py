"""Setting up a cluster's folder: cluster.toml, secrets, .gitignore and the new-cluster marker.

Nothing is written before everything has been checked as the node itself would check it, and
nothing that exists is overwritten unless asked: a lost secrets file cannot be brought back.
"""

import secrets as random_secrets
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from pydantic import ValidationError

from election.durable import write_all
from node.config import load_config
from node.config_model import Config, Topology
from node.errors import ConfigRefused, InitRefused
from node.init_answers import Answers
from node.init_text import (
    GITIGNORE_LINES,
    render_cluster,
    render_inventory,
    render_secrets,
)
from node.secrets import FOLDER

CONFIG_NAME = "cluster.toml"
MARKER = "new-cluster"
MARKER_TEXT = (
    "Written by `nodectl init`. While it is here, a node whose state directory never saw this\n"
    "cluster may begin it. Without it a cluster whose records are gone counts as paused.\n"
)
PASSWORD_BYTES = 24
PEER_KEY_BYTES = 32
PAPER_KEY_BYTES = 16
INVENTORY = "inventory.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenSecrets:
    """Secrets that are known already, by node id; the others are left to be filled in."""

    api_keys: Mapping[str, tuple[str, str]] = field(default_factory=dict, repr=False)
    token: str | None = field(default=None, repr=False)
    deadman: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was set up."""

    config: Config
    files: tuple[Path, ...]
    to_fill_in: tuple[Path, ...]


def load_answers(path: Path) -> Answers:
    """Read a TOML file of answers. Raises InitRefused with every problem."""
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        raise InitRefused(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InitRefused(f"{path}: is not TOML: {error}") from error
    try:
        return Answers.model_validate(tree)
    except ValidationError as error:
        said = "\n".join(
            f"  {'.'.join(str(k) for k in e['loc'])}: {e['msg'].lower()}"
            for e in error.errors(include_url=False, include_input=False)
        )
        known = ", ".join(Answers.model_fields)
        raise InitRefused(f"{path}:\n{said}\n    → answers are: {known}") from None


def write_cluster(
    folder: Path, answers: Answers, given: GivenSecrets, *, may_overwrite: bool = False
) -> Written:
    """Write everything, or nothing.

    Raises:
        InitRefused: an answer is missing or does not fit, a file is there already, or the
            folder cannot be written.
    """
    missing = answers.missing_hosts()
    if missing:
        raise InitRefused(
            f"topology {answers.topology} needs {', '.join(missing)}\n"
            "    → give the fixed LAN addresses of the boxes"
        )
    if len(set(answers.node_ids)) < len(answers.node_ids):
        raise InitRefused(
            f"both nodes are called {answers.preferred_node}\n    → give each box its own id"
        )
    text = render_cluster(answers)
    _check(text)
    password = None
    if answers.topology is not Topology.SINGLE_HOST:
        password = random_secrets.token_urlsafe(PASSWORD_BYTES)
    peer_key = random_secrets.token_urlsafe(PEER_KEY_BYTES)
    contents: dict[Path, tuple[str, int]] = {folder / CONFIG_NAME: (text, 0o644)}
    to_fill_in = []
    for node_id in answers.node_ids:
        key, secret = given.api_keys.get(node_id, (None, None))
        if key is None and answers.is_own_paper:
            # accounts of the paper exchange are made from these: nothing has to be fetched
            key, secret = (random_secrets.token_hex(PAPER_KEY_BYTES) for _ in range(2))
        path = folder / FOLDER / f"{node_id}.toml"
        body = render_secrets(
            answers,
            node_id,
            store_password=password,
            peer_key=peer_key,
            api_key=key,
            api_secret=secret,
            token=given.token,
            deadman=given.deadman,
        )
        contents[path] = (body, 0o600)
        if key is None:
            to_fill_in.append(path)
    if answers.topology is not Topology.SINGLE_HOST:
        contents[folder / INVENTORY] = (render_inventory(answers), 0o644)
    contents[folder / MARKER] = (MARKER_TEXT, 0o644)
    present = [str(path) for path in contents if path.exists()]
    if present and not may_overwrite:
        raise InitRefused(
            f"already there: {', '.join(present)}\n    → use another --directory, or --force to "
            "overwrite (the store password and peer.key change then)"
        )
    try:
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        (folder / FOLDER).chmod(0o700)
        write_all(contents)
        _ignore(folder / ".gitignore")
        config = load_config(folder / CONFIG_NAME, environ={})
    except OSError as error:
        where = error.filename or folder
        raise InitRefused(
            f"{where}: cannot be written: {error.strerror}\n    → free some space, or name a "
            "folder that you may write to"
        ) from error
    files = (*contents, folder / ".gitignore")
    return Written(config=config, files=files, to_fill_in=tuple(to_fill_in))


def _check(text: str) -> None:
    """Load the text as a node would; nothing of the cluster's folder exists yet."""
    with tempfile.TemporaryDirectory(prefix="hotspare-init-") as scratch:
        path = Path(scratch) / CONFIG_NAME
        path.write_text(text, encoding="utf-8")
        try:
            load_config(path, environ={})
        except ConfigRefused as refused:
            problems = "\n".join(f"  {problem.render()}" for problem in refused.problems)
            raise InitRefused(f"these answers do not fit together:\n{problems}") from None


def _ignore(path: Path) -> None:
    """Add our lines to .gitignore, keeping what is there."""
    known = path.read_text(encoding="utf-8") if path.exists() else ""
    missing = [line for line in GITIGNORE_LINES if line not in known.splitlines()]
    if missing:
        begin = known if not known or known.endswith("\n") else known + "\n"
        path.write_text(begin + "\n".join(missing) + "\n", encoding="utf-8")

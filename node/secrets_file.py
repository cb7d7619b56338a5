"""The secrets file and the environment as a tree of text, before anything is checked.

Apart from secrets.py because the stop hook has less time than pydantic takes to import. Order,
later wins: the file, then `HOTSPARE_SECRET__...` from the environment. No message shows a value.
"""

import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from node.errors import SecretsRefused

PREFIX = "HOTSPARE_SECRET__"
DEFAULT_STORE = "default"
READABLE_BY_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def read_tree(
    path: Path | None, environ: Mapping[str, str], *, is_credential: bool
) -> dict[str, Any]:
    """Return what file and environment say together; a missing file (or none) says nothing.

    Raises:
        SecretsRefused: the file is readable by others, unreadable, or not TOML; or the
            environment names a secret that cannot be.
    """
    tree = {} if path is None else _read(path, is_credential=is_credential)
    for name in sorted(environ):
        if name.startswith(PREFIX):
            _put(tree, name.removeprefix(PREFIX).lower().split("__"), environ[name], name)
    return tree


def own_release_password(tree: Mapping[str, Any], store: str) -> str | None:
    """Return the weaker password of a store's own for stop hooks, None when there is none."""
    return _password(tree, store, "release_password")


def release_password(tree: Mapping[str, Any], store: str) -> str | None:
    """Return the password that a stop hook logs in with: its own if there is one."""
    return own_release_password(tree, store) or _password(tree, store, "password")


def _password(tree: Mapping[str, Any], store: str, key: str) -> str | None:
    stores = tree.get("stores")
    for name in (store, DEFAULT_STORE):
        section = stores.get(name) if isinstance(stores, dict) else None
        found = section.get(key) if isinstance(section, dict) else None
        if isinstance(found, str) and found:
            return found
    return None


def _read(path: Path, *, is_credential: bool) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            # asked of the open file, so that nobody can exchange it in between
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            raw = file.read()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SecretsRefused(
            f"{path}: cannot be read: {error.strerror}\n    → make it a file that the user who "
            "runs the node can read"
        ) from error
    # systemd shows its credentials as 0440 where it grants access by ACL; their folder is
    # readable by the unit alone
    if mode & (stat.S_IRWXO if is_credential else READABLE_BY_OTHERS):
        raise SecretsRefused(
            f"{path}: others can read it (mode {mode:04o})\n    → run: chmod 600 {path}; and "
            "replace the keys if others use this machine"
        )
    try:
        return tomllib.loads(raw.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        # the parser's message may quote the line, and the line may be a secret
        raise SecretsRefused(
            f'{path}: is not TOML\n    → each line is `name = "value"`, below [venue], [telegram], '
            "[peer], [deadman] or [stores.NAME]"
        ) from None


def _put(tree: dict[str, Any], keys: list[str], value: str, name: str) -> None:
    if keys[0] == "stores":
        keys = [k.replace("_", "-") if place == 1 else k for place, k in enumerate(keys)]
    spot = tree
    for key in keys[:-1]:
        inner = spot.setdefault(key, {})
        if not isinstance(inner, dict):
            raise SecretsRefused(
                f"{name}: there is no such secret\n    → see docs/configuration.md"
            )
        spot = inner
    spot[keys[-1]] = value

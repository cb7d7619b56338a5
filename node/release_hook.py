"""What a supervisor's stop hook does: `nodectl release --after-crash`, without a command line.

Rules of this file: it never raises, whatever it finds; it ends within `CONNECT_S + ANSWER_S` and a
little; it imports only what it needs, because a hook that starts slowly is a slow failover.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from election.errors import IdentityRefused, StateDirUnusable
from election.grant_note import GrantLeft, read_grant
from election.model import StoreName
from election.state_lock import StateClaim
from node.errors import SecretsRefused
from node.post_mortem import Autopsy, Supervisor, examine
from node.secrets_file import own_release_password, read_tree, release_password

FREED = 0
NOT_FREED = 1


def run_hook(directory: Path, *, say: Callable[[str], None]) -> int:
    """Free what the dead process of this state directory held; return the exit code."""
    try:
        with StateClaim(directory, notes_owner=False):
            return _release(directory, say)
    except StateDirUnusable as error:
        say(f"nothing released: {error}")
        return FREED if read_grant(directory) is None else NOT_FREED
    except IdentityRefused as error:
        # A second, refused start has a stop hook too: the holder lives, and keeps the lease.
        say(f"nothing released: {error}")
        return FREED
    except Exception as error:  # noqa: BLE001  (a supervisor must never stumble over its hook)
        say(f"nothing released: {type(error).__name__}: {error}")
        return NOT_FREED


def _release(directory: Path, say: Callable[[str], None]) -> int:
    tree, trouble = read_secrets(read_grant(directory), os.environ)
    autopsy = examine(
        directory,
        login_of=lambda left: with_users(left, tree),
        password_of=lambda store: release_password(tree, store),
        supervisor=Supervisor.from_environ(os.environ),
    )
    for line in render(autopsy):
        say(line)
    if autopsy.left is None or autopsy.is_released:
        return FREED
    if trouble:
        say(trouble)
    return NOT_FREED


def render(autopsy: Autopsy) -> tuple[str, ...]:
    """Return what was found and done, one line a fact."""
    left = autopsy.left
    if left is None:
        return (autopsy.reason,)
    head = f"{left.identity.node_id} (epoch {left.epoch}, pid {left.pid}): {autopsy.reason}"
    drain = f"its last writes may take effect for {autopsy.drain_ms} ms: {autopsy.drain_reason}"
    stores = (f"store {e.store}: {e.said}" for e in autopsy.epitaphs)
    end = "no majority of the stores freed it; the lease runs out by itself"
    if autopsy.is_released:
        is_any = any(e.is_released for e in autopsy.epitaphs)
        end = "the other node may take the lease now" if is_any else "nothing of it was left there"
    return (head, drain, *stores, end)


def read_secrets(
    left: GrantLeft | None, environ: Mapping[str, str]
) -> tuple[Mapping[str, Any], str]:
    """Return the tree of secrets, and what was wrong with the file when only the environment is.

    A credential of systemd cannot be read in ExecStopPost: then the environment must have it.
    """
    named = "" if left is None else str(left.facts.get("secrets", ""))
    path = Path(named) if named else None
    credentials = environ.get("CREDENTIALS_DIRECTORY")
    is_credential = (
        path is not None and bool(credentials) and path.parent == Path(credentials or "")
    )
    try:
        return read_tree(path, environ, is_credential=is_credential), ""
    except SecretsRefused as error:
        trouble = error.render()
    try:
        return read_tree(None, environ, is_credential=False), trouble
    except SecretsRefused as error:
        return {}, error.render()


def with_users(left: GrantLeft, tree: Mapping[str, Any]) -> GrantLeft:
    """Return the note with the user name that goes with the password of each store."""
    users = left.facts.get("release_users")
    own = users if isinstance(users, dict) else {}

    def user_of(store: StoreName, usual: str | None) -> str | None:
        has_own = own_release_password(tree, store) is not None
        return str(own[store]) if has_own and own.get(store) else usual

    return replace(
        left,
        addresses=tuple(replace(a, username=user_of(a.name, a.username)) for a in left.addresses),
    )

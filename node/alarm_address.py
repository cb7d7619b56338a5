"""Whom to tell when the node itself cannot start: read leniently from what may be broken.

Rules of this file: standard library only, and nothing raises: the file that cannot be read is often
the very reason. So what TOML does not give is looked for line by line, a secrets file with wrong
rights is read all the same (the token goes to nobody but the Bot API), and a chat that a healthy
node once used stands in for one that cannot be read. Chat and token are checked by their shape
only: Telegram has the last word.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from node.lenient import find_at, parse_tree, read_text, secret_values
from node.secrets_file import PREFIX as SECRET_PREFIX
from node.starts import Chat

API_URL = "https://api.telegram.org"
TOKEN = re.compile(r"\b\d{5,12}:[A-Za-z0-9_-]{20,}")
CHAT_LINE = re.compile(r"^\s*chat_id\s*=\s*(-?\d{1,19})\s*(?:#.*)?$", re.MULTILINE)
API_LINE = re.compile(r"^\s*api_url\s*=\s*[\"'](https?://[^\s\"'@]+)[\"']", re.MULTILINE)
PREFIX = "HOTSPARE__"
_PROFILES = ("dev", "test", "prod")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Whom to tell and as whom; `chats` in the order in which they are tried.

    `secret_values` is all that must not be shown, as far as it can be read.
    """

    chats: tuple[Chat, ...]
    token: str = field(repr=False)
    secret_values: frozenset[str] = field(repr=False)
    box: str
    cluster: str


def find_address(environ: Mapping[str, str], node_id: str, remembered: Chat | None) -> Address:
    """Return whom to tell, from configuration, secrets and what a healthy node remembered."""
    path = Path(environ.get("HOTSPARE_CONFIG") or "cluster.toml")
    text = read_text(path)
    tree = parse_tree(text)
    chats = [chat for chat in (_chat_of(path, text, tree, environ), remembered) if chat]
    if chats == [remembered] and "cluster" in tree and "telegram" not in tree:
        chats = []  # a whole configuration without a chat: nobody wants to be told
    secrets_text = read_text(path.parent / "secrets" / f"{node_id}.toml")
    label = find_at(tree, "nodes", node_id, "label")
    return Address(
        chats=tuple(dict.fromkeys(chats)),
        token=_token_of(secrets_text, environ),
        secret_values=frozenset(_secret_values(secrets_text, environ)),
        box=label if isinstance(label, str) and label else node_id,
        cluster=_cluster_of(tree, environ),
    )


def _chat_of(
    path: Path, text: str, tree: Mapping[str, Any], environ: Mapping[str, str]
) -> Chat | None:
    overlay_text = read_text(
        path.with_name(f"{path.stem}.{_profile_of(tree, environ)}{path.suffix}")
    )
    chat: Any = None
    api: Any = None
    for one in (text, overlay_text):
        found = parse_tree(one)
        line, api_line = CHAT_LINE.search(one), API_LINE.search(one)
        chat = find_at(found, "telegram", "chat_id") or (line and not found and line[1]) or chat
        api = (
            find_at(found, "telegram", "api_url") or (api_line and not found and api_line[1]) or api
        )
    chat = _named(environ, "TELEGRAM__CHAT_ID") or chat
    api = _named(environ, "TELEGRAM__API_URL") or api
    try:
        chat_id = int(chat)
    except (TypeError, ValueError):
        return None
    is_url = isinstance(api, str) and bool(re.fullmatch(r"https?://[^\s@]+", api))
    return Chat(chat_id=chat_id, api_url=api if is_url else API_URL)


def _token_of(text: str, environ: Mapping[str, str]) -> str:
    named = environ.get(f"{SECRET_PREFIX}TELEGRAM__TOKEN", "")
    found = named or find_at(parse_tree(text), "telegram", "token")
    if isinstance(found, str) and TOKEN.fullmatch(found):
        return found
    seen = TOKEN.search(text)
    return seen[0] if seen else ""


def _secret_values(text: str, environ: Mapping[str, str]) -> Iterator[str]:
    yield from (value for name, value in environ.items() if name.startswith(SECRET_PREFIX))
    yield from secret_values(text)


def _profile_of(tree: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    found = _named(environ, "CLUSTER__PROFILE") or find_at(tree, "cluster", "profile")
    return found if found in _PROFILES else "dev"


def _cluster_of(tree: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    name = find_at(tree, "cluster", "name")
    return f"{_profile_of(tree, environ)}-{name}" if isinstance(name, str) else ""


def _named(environ: Mapping[str, str], name: str) -> str:
    return environ.get(f"{PREFIX}{name}", "").strip("\"'")

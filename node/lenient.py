"""Reading configuration and secrets that may be broken, for whoever must speak all the same.

Rules of this file: standard library only, nothing raises, nothing is checked: what counts is what
config.py and secrets.py accept. A secrets file that others can read is read too: whoever uses this
only wants to take its values out of a text, or to send a message.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FILE_BYTES_MAX = 1_000_000
_VALUE = re.compile(r"=[ \t]*[\"']?([^\"'\n]{4,})")
# A line of a key that goes over several lines.
_LONG_WORD = re.compile(r"[^\s\"']{16,}")


def read_text(path: Path) -> str:
    """Return a file's text; "" when there is none that can be read."""
    try:
        with path.open("rb") as file:
            return file.read(FILE_BYTES_MAX).decode("utf-8", "replace")
    except OSError:
        return ""


def parse_tree(text: str) -> dict[str, Any]:
    """Return TOML as a tree; an empty one when it is not TOML."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}


def find_at(tree: Any, *keys: str) -> Any:
    """Return what stands at a place of the tree, None for nothing."""
    for key in keys:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def secret_values(text: str) -> Iterator[str]:
    """Yield every value in the text of a secrets file, line by line where it is not TOML."""
    tree = parse_tree(text)
    if tree:
        yield from _leaves(tree)
    else:
        yield from (found.strip() for found in _VALUE.findall(text))
        yield from _LONG_WORD.findall(text)


def _leaves(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        for value in tree.values():
            yield from _leaves(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _leaves(value)
    else:
        yield str(tree)

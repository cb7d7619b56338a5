"""The Lua scripts of this package as text and hash, without anything that could run them.

Apart from redis_scripts.py because a stop hook has less time than redis-py takes to import.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

_FOLDER = Path(__file__).parent / "lua"


class ScriptName(StrEnum):
    """Names of the files in election/lua, without their ending."""

    OBSERVE = "observe"
    ACQUIRE = "acquire"
    RENEW = "renew"
    REASSERT = "reassert"
    RELEASE = "release"
    LEDGER_WRITE = "ledger_write"
    CONTROL_PUT = "control_put"
    MEMBER_PUBLISH = "member_publish"
    MOVE = "move"
    LEDGER_CARRY = "ledger_carry"


PRELUDE = "prelude"


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One script: its whole text and the hash under which a server caches it."""

    name: ScriptName
    text: str
    sha1: str


def read_lua(name: str) -> str:
    """Return the text of one file of election/lua."""
    return (_FOLDER / f"{name}.lua").read_text("utf-8")


def load_script(name: ScriptName) -> Script:
    """Load one script with the prelude in front."""
    text = f"{read_lua(PRELUDE)}\n{read_lua(name)}"
    digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    return Script(name=name, text=text, sha1=digest)

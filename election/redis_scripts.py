"""The Lua scripts of this package: loaded from their files, run by hash.

A script is its file behind the shared prelude. It is sent whole only when the server does not
know its hash: NOSCRIPT is the server's proof that nothing was executed, so sending the text then
is the first execution, not a second one.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources

from election.connections import NoScript, StoreConnection
from election.errors import StoreUnreachable
from election.resp import Argument, Reply


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


PRELUDE = "prelude"


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One script: its whole text and the hash under which a server caches it."""

    name: ScriptName
    text: str
    sha1: str


def read_lua(name: str) -> str:
    """Return the text of one file of election/lua."""
    return resources.files("election").joinpath("lua", f"{name}.lua").read_text("utf-8")


def load_script(name: ScriptName) -> Script:
    """Load one script with the prelude in front."""
    text = f"{read_lua(PRELUDE)}\n{read_lua(name)}"
    digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    return Script(name=name, text=text, sha1=digest)


def run_script(
    connection: StoreConnection,
    script: Script,
    *,
    keys: Sequence[str],
    arguments: Sequence[Argument],
    deadline_s: float,
) -> Reply:
    """Run the script once within the deadline.

    Raises:
        StoreUnreachable: no usable answer; it may have been executed.
    """
    tail = (len(keys), *keys, *arguments)
    try:
        return connection.call("EVALSHA", script.sha1, *tail, deadline_s=deadline_s)
    except NoScript:
        pass
    try:
        return connection.call("EVAL", script.text, *tail, deadline_s=deadline_s)
    except NoScript as error:  # EVAL never says so; a proxy in between might
        raise StoreUnreachable(
            f"{error}: the server refused a script that was sent whole"
        ) from None

"""The Lua scripts of this package, run by hash (their texts: script_text.py).

A script is its file behind the shared prelude. It is sent whole only when the server does not
know its hash: NOSCRIPT is the server's proof that nothing was executed, so sending the text then
is the first execution, not a second one.
"""

from collections.abc import Sequence

from election.connections import NoScript, StoreConnection
from election.errors import StoreUnreachable
from election.resp import Argument, Reply
from election.script_text import Script, ScriptName, load_script

__all__ = ["Script", "ScriptName", "load_script", "run_script"]


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

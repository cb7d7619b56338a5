"""What a store's failure means, in words that say how to mend it.

Rules of this file: every failure of a store becomes one `StoreUnreachable`, because the caller's
choice is always the same (no usable answer, it may have written); the words are for the log and
the alert and are never compared by code. A password never appears in them.
"""

import socket

from election.errors import StoreUnreachable
from election.resp import ServerSaid

# What the server says -> what it means and what helps. First match wins; the server's own text
# follows. Scripts wrap errors ("ERR Error running script ... -OOM command not allowed"), so the
# code is looked for anywhere. Sources: Redis 4.0 to 8 `server.c`, `scripting.c`, `acl.c`.
_MEANINGS: tuple[tuple[str, str], ...] = (
    ("WRONGPASS", "wrong user name or password; compare the store's secret with the server's"),
    ("invalid password", "wrong password; compare the store's secret with requirepass"),
    ("invalid username-password", "wrong user name or password; compare the store's secret"),
    (
        "no password is set",
        "the server has no password; set requirepass there, or remove the password here",
    ),
    (
        "without any password configured",
        "the server has no password; set requirepass there, or remove the password here",
    ),
    (
        "wrong number of arguments for 'auth'",
        "the server is too old for user names (before Redis 6); leave the user name out",
    ),
    ("NOAUTH", "the server wants a password; give the store one"),
    ("Authentication required", "the server wants a password; give the store one"),
    ("NOPERM", "the server's user may not do this; grant +@scripting +info +time +hash commands"),
    (
        "no permissions",
        "the server's user may not do this; grant +info +time and the hash commands",
    ),
    (
        "user executing the script",
        "the server's user may not do what the script does; grant +info +time +type +@hash",
    ),
    ("READONLY", "the server is a replica; name the server that accepts writes, without replicas"),
    ("NOREPLICAS", "the server waits for replicas; set min-replicas-to-write 0, use no replicas"),
    ("OOM", "the server is out of memory; raise maxmemory, and give the lease a server of its own"),
    ("MISCONF", 'the server cannot save to disk; switch saving off there (save "", appendonly no)'),
    ("LOADING", "the server is still loading its data set; switch saving off there"),
    ("MASTERDOWN", "the server is a replica without its source; name a server without replicas"),
    ("DENIED", "the server is in protected mode; set bind and a password there"),
    ("MOVED", "the server is part of a Redis Cluster; use a plain server"),
    ("CLUSTERDOWN", "the server is part of a Redis Cluster; use a plain server"),
    ("BUSY", "the server is busy with a script; something else runs long scripts there"),
    ("max number of clients", "the server has no connection left; raise maxclients"),
    ("nknown Redis command", "the server lacks or renamed a command (needs Redis 4.0 or later)"),
    ("nknown command", "the server lacks or renamed a command (needs Redis 4.0 or later)"),
    ("invalid DB index", "the server has no database of this number; use 0"),
    ("DB index is out of range", "the server has no database of this number; use 0"),
    ("WRONGTYPE", "a key of the cluster is of another type; delete it by hand"),
    ("refused", "nothing listens there; start the server, check host and port"),
    ("closed by server", "the server closed the connection"),
    ("reset by peer", "the server closed the connection"),
)


def scrub(text: str, secret: str | None) -> str:
    """Return `text` without the secret: a server may quote the command it did not understand."""
    return text if not secret else text.replace(secret, "***")


def explain(error: Exception, *, secret: str | None = None) -> str:
    """Return what the failure means and what helps, with the server's own words."""
    # By name: redis-py has a class of its own, and importing it costs a command line 0.2 s.
    if type(error).__name__ == "TimeoutError":
        return "no answer in time; is the machine up, and is the network between free?"
    said = _first_line(scrub(str(error), secret))
    if isinstance(error, socket.gaierror):
        return f"the name does not resolve; use an IP address [{said}]"
    for needle, meaning in _MEANINGS:
        if needle in str(error):
            return f"{meaning} [{said}]"
    if isinstance(error, ServerSaid):
        return f"the server answered with an error [{said}]"
    return f"no connection [{said}]"


def unreachable(where: str, error: Exception, *, secret: str | None = None) -> StoreUnreachable:
    """Build the error for a failed call to the store described by `where`."""
    return StoreUnreachable(f"{where}: {explain(error, secret=secret)}")


def _first_line(text: str) -> str:
    """Return one line of bounded length: an answer may be anything."""
    # A server quotes the arguments of a command that it does not know; AUTH's is the password, and
    # a long one is cut, so that looking for it would not find it.
    unquoted = text.split(", with args beginning with", 1)[0]
    line = unquoted.replace("\r", " ").split("\n", 1)[0].strip()
    return line if len(line) <= _LINE_MAX else line[: _LINE_MAX - 1] + "…"


_LINE_MAX = 200  # characters; long enough for every message of Redis, short enough for an alert

"""What servers say when they refuse, and the words that a person gets for it."""

import socket

import pytest

from election.redis_errors import explain, scrub, unreachable
from election.resp import ServerSaid

# The servers' own texts. Source: Redis 4.0 to 7.2 (server.c, scripting.c, script.c, acl.c).
SAID = {
    "oom": ("OOM command not allowed when used memory > 'maxmemory'.", "maxmemory"),
    "oom in a script, Redis 4 to 6": (
        "ERR Error running script (call to f_ab): @user_script:110: -OOM command not allowed when",
        "out of memory",
    ),
    "oom in a script, Redis 7": (
        "OOM command not allowed when used memory > 'maxmemory'. script: ab, on @user_script:99.",
        "out of memory",
    ),
    "read only": ("READONLY You can't write against a read only replica.", "is a replica"),
    "no replicas": ("NOREPLICAS Not enough good replicas to write.", "min-replicas-to-write 0"),
    "disk": (
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist",
        "saving off",
    ),
    "loading": ("LOADING Redis is loading the dataset in memory", "still loading"),
    "no password given": ("NOAUTH Authentication required.", "wants a password"),
    "wrong password, Redis 6": ("WRONGPASS invalid username-password pair or user", "wrong"),
    "wrong password, Redis 4": ("ERR invalid password", "requirepass"),
    "no password wanted, Redis 4": ("ERR Client sent AUTH, but no password is set", "no password"),
    "a user name, Redis 4": ("ERR wrong number of arguments for 'auth' command", "user name out"),
    "no right": ("NOPERM this user has no permissions to run the 'eval' command", "grant"),
    "no right in a script": (
        "ERR The user executing the script can't run this command or subcommand script: ab",
        "+info",
    ),
    "renamed": ("ERR unknown command `EVALSHA`, with args beginning with: ", "renamed"),
    "renamed in a script": (
        "ERR Unknown Redis command called from script script: ab, on @user_script:40.",
        "renamed",
    ),
    "protected": ("DENIED Redis is running in protected mode because", "protected mode"),
    "cluster": ("MOVED 3999 127.0.0.1:6381", "plain server"),
    "busy": ("BUSY Redis is busy running a script. You can only call SCRIPT KILL", "long scripts"),
    "full": ("ERR max number of clients reached", "maxclients"),
    "no such database": ("ERR DB index is out of range", "use 0"),
    "wrong type": ("WRONGTYPE Operation against a key holding the wrong kind", "another type"),
    "something new": ("NEWCODE what nobody heard before", "NEWCODE"),
}


@pytest.mark.parametrize("case", SAID)
def test_a_refusal_says_what_to_mend_and_quotes_the_server(case: str) -> None:
    """READONLY, NOREPLICAS, OOM, MISCONF: unreachable, with the text (R11)."""
    said, words = SAID[case]
    text = explain(ServerSaid(said))
    assert words in text
    assert said[:20] in text


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError("timed out"), "no answer in time"),
        (ConnectionRefusedError(111, "Connection refused"), "start the server"),
        (ConnectionResetError(104, "Connection reset by peer"), "closed the connection"),
        (OSError(113, "No route to host"), "No route to host"),
        (socket.gaierror(-2, "Name or service not known"), "use an IP address"),
    ],
)
def test_a_network_error_says_what_to_look_at(error: OSError, words: str) -> None:
    assert words in explain(error)


def test_a_long_or_multi_line_answer_stays_one_short_line() -> None:
    """Every text has a bound: it goes into alerts."""
    text = explain(ServerSaid("ODD " + "x" * 10_000 + "\nsecond"))
    assert len(text) < 400
    assert "\n" not in text
    assert "second" not in explain(ServerSaid("ODD first\r\nsecond"))


def test_a_secret_is_scrubbed_wherever_it_is_quoted() -> None:
    for said in (
        "ERR unknown command `AUTH`, with args beginning with: `me` `hunter2` ",
        "ERR unknown command `AUTH`, with args beginning with: `hunt",  # cut by the server
        "ERR odd " + "x" * 187 + "hunter2",  # would be cut by us
    ):
        assert "hunt" not in str(unreachable("store x", ServerSaid(said), secret="hunter2"))
    assert scrub("a hunter2 b hunter2", "hunter2") == "a *** b ***"
    assert scrub("a", None) == "a"

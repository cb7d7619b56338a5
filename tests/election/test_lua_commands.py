"""Only commands that Redis 4.0 knows: the Nano's own package is 4.0.9 (R2)."""

import ast
import re
import time
from pathlib import Path

import pytest

import election
from election.connections import StoreConnection
from election.control_record import ControlRecord
from election.model import NodeId, WriteId
from election.peek import peek
from election.redis_control import ControlBoard
from election.redis_ledger import RedisLedger
from election.redis_members import MemberBoard
from election.redis_store import RedisStore
from tests.support.redis_servers import (
    REQUEST_TIMEOUT_MS,
    StartServer,
    address_of,
    admin_of,
    identity_of,
)

# Source: the command table of Redis 4.0 (server.c), those that a lease could want.
REDIS_4_0 = frozenset(
    """
    append auth bgrewriteaof bgsave bitcount bitfield bitop bitpos blpop brpop brpoplpush client
    cluster command config dbsize debug decr decrby del discard dump echo eval evalsha exec exists
    expire expireat flushall flushdb get getbit getrange getset hdel hexists hget hgetall hincrby
    hincrbyfloat hkeys hlen hmget hmset hscan hset hsetnx hstrlen hvals incr incrby incrbyfloat
    info keys lastsave lindex linsert llen lpop lpush lpushx lrange lrem lset ltrim memory mget
    migrate monitor move mset msetnx multi object persist pexpire pexpireat pfadd pfcount pfmerge
    ping psetex psubscribe pttl publish pubsub punsubscribe randomkey readonly readwrite rename
    renamenx restore role rpop rpoplpush rpush rpushx sadd save scan scard script sdiff sdiffstore
    select set setbit setex setnx setrange shutdown sinter sinterstore sismember slaveof slowlog
    smembers smove sort spop srandmember srem sscan strlen subscribe sunion sunionstore swapdb
    sync time touch ttl type unlink unsubscribe unwatch wait watch zadd zcard zcount zincrby
    zinterstore zlexcount zrange zrangebylex zrangebyscore zrank zrem zremrangebylex
    zremrangebyrank zremrangebyscore zrevrange zrevrangebylex zrevrangebyscore zrevrank zscan
    zscore zunionstore
    """.split()  # noqa: SIM905  (190 words, to be read as a list of words)
)
PACKAGE = Path(election.__file__).parent
SCRIPTS = sorted((PACKAGE / "lua").glob("*.lua"))
# Files whose capital words are names of commands that are sent.
EDGES = ("connections.py", "one_shot.py", "peek.py", "post_mortem.py", "redis_scripts.py",
         "redis_ledger.py", "redis_control.py", "redis_members.py", "redis_move.py",
         "redis_store.py")  # fmt: skip


def code_of(script: Path) -> str:
    return "\n".join(line.split("--", 1)[0] for line in script.read_text().splitlines())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_calls_only_commands_of_redis_4_0(script: Path) -> None:
    """Each redis.call names its command in place, and Redis 4.0 knows it."""
    code = code_of(script)
    calls = re.findall(r"redis\.p?call\s*\(\s*(\S+?)\s*[,)]", code)
    names = [call.strip("'").lower() for call in calls if re.fullmatch(r"'\w+'", call)]
    assert len(names) == len(re.findall(r"redis\s*\.\s*p?call", code)), "a computed command"
    assert set(names) <= REDIS_4_0


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_uses_only_functions_that_every_server_has(script: Path) -> None:
    """Of redis.*, only call everywhere; replicate_commands only where it exists."""
    code = code_of(script)
    functions = set(re.findall(r"redis\.(\w+)", code)) - {"call"}
    if script.stem == "prelude":
        assert functions == {"replicate_commands"}
        assert re.search(r"if redis\.replicate_commands then\s+redis\.replicate_commands\(\)", code)
    else:
        assert functions == set()


@pytest.mark.parametrize("file", EDGES)
def test_the_python_edge_names_only_commands_of_redis_4_0(file: str) -> None:
    """Every word in capitals that is sent is a command that Redis 4.0 knows."""
    tree = ast.parse((PACKAGE / file).read_text())
    words = {
        node.value.lower()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"[A-Z]{3,}", node.value)
    } - {"noscript"}
    assert words <= REDIS_4_0


def test_what_a_server_was_really_asked_is_of_redis_4_0(start_server: StartServer) -> None:
    """The server's own count of commands, after everything was used once, a login included."""
    server = start_server(password="a password")
    me = identity_of("test-commands")
    address = address_of(server)
    with admin_of(server) as admin:
        admin.config_resetstat()
        own = {"config|resetstat", "client|setinfo", "config", "client"}  # the test's own hands
        store = RedisStore(address, cluster_id=me.cluster_id, request_timeout_ms=REQUEST_TIMEOUT_MS)
        seen = store.observe(identity=me, new_wid=WriteId("a"))
        held = store.acquire(
            identity=me,
            epoch=1,
            ttl_ms=6000,
            expected_inc=seen.inc,
            expected_wid=WriteId("a"),
            new_wid=WriteId("b"),
            reason="",
        )
        assert held.is_ok
        ledger = RedisLedger(
            [address],
            cluster_id=me.cluster_id,
            identity=me,
            incarnations=lambda: {store.name: held.inc},
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )
        assert ledger.write(epoch=1, puts={"a": "{}"}, deletes=()).is_accepted
        assert ledger.write(epoch=1, puts={"b": "{}"}, deletes={"a"}).is_accepted
        assert ledger.read() == ({"b": "{}"},)
        board = ControlBoard([address], me.cluster_id, REQUEST_TIMEOUT_MS)
        assert board.put("pause", {"is_paused": True}, "me", 1, "test").is_majority
        record = ControlRecord(kind="x", version=1, value={}, by="", at_ms=0, reason="")
        assert board.push([record]).is_majority
        members = MemberBoard(
            [address], cluster_id=me.cluster_id, request_timeout_ms=REQUEST_TIMEOUT_MS
        )
        assert members.publish(NodeId("jetson"), "n", 1, {}).accepted_by
        assert members.read()
        assert peek([address], cluster_id=me.cluster_id, timeout_s=20).answered
        inc = held.inc
        store.reassert(
            identity=me,
            epoch=1,
            ttl_ms=6000,
            expected_inc=inc,
            expected_wid=WriteId("b"),
            new_wid=WriteId("c"),
        )
        store.renew(identity=me, epoch=1, ttl_ms=6000, expected_inc=inc, new_wid=WriteId("d"))
        store.release(
            identity=me,
            epoch=1,
            expected_inc=inc,
            new_wid=WriteId("e"),
            drain_ms=0,
            reserved_for="",
            reason="",
        )
        stats = admin.info("commandstats")
    asked = {name.removeprefix("cmdstat_") for name in stats} - own
    for part in (store, ledger, board, members):
        part.close()
    assert asked >= {"evalsha", "hset", "hgetall", "info", "time", "auth"}
    assert asked <= REDIS_4_0


def test_a_new_connection_sends_no_hello(start_any: StartServer) -> None:
    """RESP3's greeting is unknown before Redis 6, and redis-py does not fall back."""
    server = start_any()
    with admin_of(server) as admin:
        admin.config_resetstat()
        connection = StoreConnection(address_of(server))
        assert connection.call("TIME", deadline_s=time.monotonic() + 20) is not None
        connection.close()
        asked = set(admin.info("commandstats"))
    assert asked - {"cmdstat_config|resetstat", "cmdstat_config"} == {
        "cmdstat_info",
        "cmdstat_time",
    }

"""The configuration of a lease store, for the server that a box has. Pure.

A lease store keeps nothing on disk (a record that comes back from a snapshot would be an old one,
R12), never evicts, listens on the LAN address and on loopback, and lets in who knows the password,
for this cluster's keys and the commands that our scripts use. The `default` user is limited
instead of a named one added: so the same cluster.toml fits Redis 4 and 5 (what the Nano's apt has),
which know no users; there it is the password and renamed commands.
"""

from dataclasses import dataclass

from deploy import places

ACL_SINCE = (6, 0)
COW_CHECK_SINCE = (6, 2)
_DANGEROUS = ("CONFIG", "DEBUG", "FLUSHALL", "FLUSHDB", "KEYS", "SHUTDOWN", "SLAVEOF", "SAVE")
# what our scripts and looks use, no more; a test runs a whole pair with just these
COMMANDS = (
    *("auth", "hello", "ping", "info", "time", "type", "eval", "evalsha"),
    *("hget", "hgetall", "hset", "hsetnx", "hdel", "hlen", "hexists", "hstrlen"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """What one store needs to know; the passwords are secrets."""

    address: str
    port: int
    cluster_id: str
    password: str
    version: tuple[int, ...]

    def __repr__(self) -> str:
        return f"StoreSettings({self.address}:{self.port})"

    @property
    def has_users(self) -> bool:
        """Whether the server knows users (Redis 6, any Valkey)."""
        return self.version >= ACL_SINCE


def store_conf(settings: StoreSettings) -> str:
    """Return the server's configuration; a secret where the server knows no users."""
    lines = [
        "# Written by hotspare's deployment: the next one overwrites it.",
        f"bind 127.0.0.1 {settings.address}"
        if settings.address != "127.0.0.1"
        else "bind 127.0.0.1",
        f"port {settings.port}",
        "protected-mode yes",
        "daemonize no",
        "databases 1",
        'save ""',
        "appendonly no",
        "maxmemory 64mb",
        "maxmemory-policy noeviction",
        "timeout 0",
        "tcp-keepalive 30",
        'logfile ""',
        "dir /tmp",
    ]
    if settings.has_users:
        lines.append(f"aclfile {places.STORE_ACL}")
        if settings.version >= COW_CHECK_SINCE:
            # the check guards background saves, of which there are none; the Nano's 4.9 fails it
            lines.append("ignore-warnings ARM64-COW-BUG")
    else:
        lines.append(f"requirepass {settings.password}")
        lines += [f'rename-command {name} ""' for name in _DANGEROUS]
    return "\n".join(lines) + "\n"


def store_acl(settings: StoreSettings) -> str:
    """Return the file of users (Redis 6 and newer): a secret."""
    rights = " ".join(f"+{command}" for command in COMMANDS)
    keys = f"~hotspare:{{{settings.cluster_id}}}:*"
    return f"user default on >{settings.password} resetkeys {keys} -@all {rights}\n"

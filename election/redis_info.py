"""What a server says about itself (INFO), and whether a lease can be kept there (R2, R12).

Pure: text in, verdict out. The server is asked in connections.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from election.model import Incarnation

# Redis 4.0: the oldest server with master_replid in INFO, which the incarnation needs (R2).
OLDEST_VERSION: Final = (4, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What the server said when the connection was opened; `warnings` are sentences.

    `version` is for people ("Valkey 9.1.2"); `inc` is the life that it was in then (R2).
    """

    version: str
    inc: Incarnation
    warnings: tuple[str, ...]


def parse_info(text: str) -> Mapping[str, str]:
    """Return the fields of an answer to INFO."""
    lines = text.splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))


def facts_of(info: Mapping[str, str]) -> ServerFacts:
    """Return version, incarnation, and what should be mended."""
    if "valkey_version" in info:
        version = f"Valkey {info['valkey_version']}"
    else:
        version = f"Redis {info.get('redis_version', '?')}"
    policy = info.get("maxmemory_policy", "noeviction")
    warnings = () if policy == "noeviction" else (_EVICTS.format(policy),)
    inc = Incarnation(f"{info.get('run_id', '')}:{info.get('master_replid', '')}")
    return ServerFacts(version=version, inc=inc, warnings=warnings)


def refuse_server(info: Mapping[str, str]) -> str:
    """Return why the lease cannot be kept on this server, with the remedy; empty when it can."""
    for is_wrong, reason in _REFUSALS:
        if is_wrong(info):
            return reason.format_map({"replicas": "?", "version": "?", "role": "?", **_shown(info)})
    return ""


_EVICTS = "maxmemory-policy is {}: the server may evict the lease; set it to noeviction"


def _is_too_old(info: Mapping[str, str]) -> bool:
    parts = info["redis_version"].split(".")[:2]
    return tuple(int(part) if part.isdigit() else 0 for part in parts) < OLDEST_VERSION


def _shown(info: Mapping[str, str]) -> dict[str, str]:
    shown = {
        "role": info.get("role"),
        "replicas": info.get("connected_slaves"),
        "version": info.get("redis_version"),
    }
    return {name: text for name, text in shown.items() if text is not None}


# The first one that holds is the reason.
_REFUSALS: tuple[tuple[Callable[[Mapping[str, str]], bool], str], ...] = (
    (
        lambda info: info.get("redis_mode") == "sentinel",
        "this is a Sentinel, not a server; name the server itself, without replicas",
    ),
    (
        lambda info: info.get("redis_mode") == "cluster",
        "this is a Redis Cluster node; the lease needs a plain server",
    ),
    (
        lambda info: "role" not in info or "redis_version" not in info,
        "INFO was not understood; is this a Redis or Valkey server?",
    ),
    (
        lambda info: info["role"] != "master",
        "INFO shows role:{role}; a replica must not keep the lease; name its source instead",
    ),
    (
        lambda info: info.get("connected_slaves", "0") != "0",
        "it has {replicas} replica(s); a promoted one would hand out the lease twice; remove them",
    ),
    (_is_too_old, "its version is {version}; Redis 4.0 or later is needed"),
)

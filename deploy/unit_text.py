"""Systemd units as text, for the version that a box has. Pure.

An unknown key is only warned about by systemd, and an unknown group of system calls silently
leaves a filter that kills the service at once: so each line carries the version that brought it
and is left out below. Source: systemd 257 man pages and NEWS; tried on 247, 252 and 257.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from deploy import places
from node.backup.note import BACKUPS_VARIABLE

Line = tuple[str, int]
"""A line of a unit and the systemd version that brought its key (0: always there)."""

# What nothing of ours needs: no device, no other user's process, no kernel setting, no capability.
# Not here: ProcSubset=pid hides /proc/sys/kernel/random/boot_id, by which a grant is known to be
# of this boot; DynamicUser, because the owner runs `nodectl` as the same user.
_SANDBOX: tuple[Line, ...] = (
    ("UMask=0077", 0),
    ("LimitCORE=0", 0),
    ("NoNewPrivileges=yes", 0),
    ("CapabilityBoundingSet=", 0),
    ("AmbientCapabilities=", 0),
    ("ProtectSystem=strict", 0),
    ("ProtectHome=yes", 0),
    ("PrivateTmp=yes", 0),
    ("PrivateDevices=yes", 0),
    ("ProtectKernelTunables=yes", 0),
    ("ProtectKernelModules=yes", 0),
    ("ProtectControlGroups=yes", 0),
    ("RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK", 0),
    ("RestrictNamespaces=yes", 0),
    ("RestrictRealtime=yes", 0),
    ("MemoryDenyWriteExecute=yes", 0),
    ("SystemCallArchitectures=native", 0),
    ("RemoveIPC=yes", 0),
    ("LockPersonality=yes", 235),
    ("ProtectHostname=yes", 242),
    ("RestrictSUIDSGID=yes", 242),
    ("ProtectKernelLogs=yes", 244),
    ("ProtectClock=yes", 245),
    ("ProtectProc=invisible", 247),
)
_CALLS: tuple[str, ...] = (
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged",
    "SystemCallErrorNumber=EPERM",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemdOf:
    """What the box's systemd knows."""

    version: int
    knows_system_service: bool


def node_unit(
    node_id: str, profile: str, fingerprint: str, systemd: SystemdOf, *, has_store: bool
) -> str:
    """Return the unit of a node: restarted for ever, fed by the work loop, releasing after death.

    OnFailure= would not tell of starts that fail: with Restart=always systemd 239 to 253 never
    starts it. The second stop hook does.

    KillMode=mixed: only then is every process of it certainly dead when the stop hook runs.
    WatchdogSec is fed after finished cycles of the work loop, never by a thread beside it.
    """
    state = f"{places.STATE}/{node_id}"
    store = f" {places.STORE_UNIT}" if has_store else ""
    unit: list[Line] = [
        (f"Description=hotspare node {node_id}", 0),
        ("Documentation=file:///opt/hotspare/current/README.md", 0),
        ("Wants=network-online.target", 0),
        (f"After=network-online.target time-sync.target{store}", 0),
        ("StartLimitIntervalSec=0", 229),  # never gives up
    ]
    service: list[Line] = [
        ("Type=notify", 0),
        ("NotifyAccess=main", 0),
        (f"User={places.USER}", 0),
        (f"Group={places.USER}", 0),
        *_node_environment(node_id, profile),
        (_fingerprinted(places.NODE_UNIT, fingerprint), 231),
        (f"ExecStart={places.BIN}/nodectl run", 0),
        (
            f"ExecStopPost=-{places.BIN}/nodectl release --after-crash --state-dir {state}",
            0,
        ),
        # after the release, in a process of its own: what breaks the one does not stop the other
        (f"ExecStopPost=-{places.BIN}/nodectl tell-failed-start --state-dir {state}", 0),
        ("Restart=always", 0),
        ("RestartSec=2", 0),
        ("WatchdogSec=20", 0),
        # imports and markets take half a minute on a Nano
        ("TimeoutStartSec=180", 0),
        ("TimeoutStopSec=30", 0),
        ("TimeoutAbortSec=5", 243),
        ("KillMode=mixed", 0),
        ("OOMPolicy=stop", 243),
        ("Nice=-5", 0),
        ("MemoryMax=600M", 231),
        ("TasksMax=128", 228),
        (f"StateDirectory={_below(places.STATE, '/var/lib/')}", 235),
        ("StateDirectoryMode=0700", 235),
        # where starts that fail are counted when the state directory cannot be written
        (f"RuntimeDirectory={_below(places.NODE_RUN, '/run/')}", 0),
        ("RuntimeDirectoryMode=0700", 0),
        ("RuntimeDirectoryPreserve=restart", 235),
    ]
    return _render(unit, service, systemd, install="multi-user.target")


def store_unit(server: str, fingerprint: str, systemd: SystemdOf) -> str:
    """Return the unit of this box's lease store: nothing on disk, restarted for ever."""
    unit: list[Line] = [
        ("Description=hotspare lease store", 0),
        ("Wants=network-online.target", 0),
        ("After=network-online.target", 0),
        ("StartLimitIntervalSec=0", 229),
    ]
    service: list[Line] = [
        ("Type=simple", 0),
        (f"User={places.USER}", 0),
        (f"Group={places.USER}", 0),
        (_fingerprinted(places.STORE_UNIT, fingerprint), 231),
        (f"ExecStart={server} {places.STORE_CONF}", 0),
        ("Restart=always", 0),
        ("RestartSec=1", 0),
        ("TimeoutStopSec=5", 0),
        ("LimitNOFILE=1024", 0),
        ("MemoryMax=96M", 231),
        ("TasksMax=32", 228),
        ("Nice=-5", 0),
    ]
    return _render(unit, service, systemd, install="multi-user.target")


def paper_unit(fingerprint: str, systemd: SystemdOf) -> str:
    """Return the unit of the paper exchange: its books outlive any node."""
    unit: list[Line] = [
        ("Description=hotspare paper exchange (no real money)", 0),
        ("Wants=network-online.target", 0),
        ("After=network-online.target", 0),
        ("StartLimitIntervalSec=0", 229),
    ]
    service: list[Line] = [
        ("Type=simple", 0),
        (f"User={places.USER}", 0),
        (f"Group={places.USER}", 0),
        (_fingerprinted(places.PAPER_UNIT, fingerprint), 231),
        (
            f"ExecStart={places.BIN}/python -m exchange.paper --config {places.PAPER_CONF}",
            0,
        ),
        ("Restart=always", 0),
        ("RestartSec=2", 0),
        ("MemoryMax=200M", 231),
        ("TasksMax=32", 228),
        (f"StateDirectory={_below(places.PAPER_STATE, '/var/lib/')}", 235),
        ("StateDirectoryMode=0700", 235),
    ]
    return _render(unit, service, systemd, install="multi-user.target")


def backup_unit(node_id: str, profile: str, systemd: SystemdOf) -> str:
    """Return the unit that backs a node up while it trades; it ends in failure when it cannot."""
    unit: list[Line] = [
        (f"Description=hotspare backup of node {node_id}", 0),
    ]
    service: list[Line] = [
        ("Type=oneshot", 0),
        (f"User={places.USER}", 0),
        (f"Group={places.USER}", 0),
        *_node_environment(node_id, profile),
        (f"ExecStart={places.BIN}/nodectl backup --to {places.BACKUPS} --scheduled", 0),
        ("TimeoutStartSec=600", 0),
        (f"ReadWritePaths={places.BACKUPS}", 0),
        ("Nice=10", 0),
        ("IOSchedulingClass=idle", 0),
        ("MemoryMax=300M", 231),
        ("TasksMax=32", 228),
        (f"StateDirectory={_below(places.STATE, '/var/lib/')}", 235),
        ("StateDirectoryMode=0700", 235),
    ]
    return _render(unit, service, systemd, install="")


def backup_timer() -> str:
    """Return the timer: once a night, not in the same minute on both boxes; made up for later."""
    return f"""\
# Written by hotspare's deployment: the next one overwrites it.
[Unit]
Description=hotspare backup, once a day

[Timer]
OnCalendar=*-*-* 03:00:00
RandomizedDelaySec=1h
Persistent=true
Unit={places.BACKUP_UNIT}

[Install]
WantedBy=timers.target
"""


def _node_environment(node_id: str, profile: str) -> tuple[Line, ...]:
    return (
        (f"Environment=HOTSPARE_CONFIG={places.SETTINGS_CURRENT}/cluster.toml", 0),
        (f"Environment=HOTSPARE_NODE={node_id}", 0),
        (f"Environment=HOTSPARE__CLUSTER__PROFILE={profile}", 0),
        (f"Environment=HOTSPARE__STATE_DIR={places.STATE}", 0),
        (f"Environment={BACKUPS_VARIABLE}=1", 0),
    )


def _fingerprinted(unit: str, fingerprint: str) -> str:
    """Return the line that notes at each start what was started.

    Not in the environment: redis-server writes over it with its title.
    """
    note = f"mkdir -p {places.RUNNING} && echo {fingerprint} >{places.RUNNING}/{unit}"
    return f"ExecStartPre=+/bin/sh -c '{note}'"


def _below(path: str, prefix: str) -> str:
    assert path.startswith(prefix)
    return path.removeprefix(prefix)


def _render(
    unit: Sequence[Line], service: Sequence[Line], systemd: SystemdOf, *, install: str
) -> str:
    calls = [(line, 0) for line in _CALLS] if systemd.knows_system_service else []
    sections: dict[str, Sequence[Line]] = {
        "Unit": unit,
        "Service": [*service, *_SANDBOX, *calls],
    }
    if install:
        sections["Install"] = [(f"WantedBy={install}", 0)]
    parts = ["# Written by hotspare's deployment: the next one overwrites it.\n"]
    for name, lines in sections.items():
        known = [line for line, since in lines if since <= systemd.version]
        parts.append(f"[{name}]\n" + "\n".join(known) + "\n")
    return "\n".join(parts)

"""What a box should have, worked out from the cluster's configuration and what the box is. Pure."""

import hashlib
import json
from dataclasses import dataclass, field

from deploy import places
from deploy.clock import clock_wants
from deploy.facts import BoxFacts
from deploy.inventory import BoxPlace, paper_port
from deploy.settings import NodeSecrets, SettingsSet
from deploy.store_text import StoreSettings, store_acl, store_conf
from deploy.unit_text import (
    SystemdOf,
    backup_timer,
    backup_unit,
    node_unit,
    paper_unit,
    store_unit,
)
from deploy.wants import (
    COPY,
    Back,
    Directory,
    Enabled,
    File,
    Kept,
    Link,
    Packages,
    Running,
    Started,
    User,
    Want,
)
from deploy.watchdog import watchdog_wants
from node.config_model import Config

STORE_SERVERS = ("/usr/bin/redis-server", "/usr/bin/valkey-server")
PAPER_BALANCE = "10000"
_JOURNALD = "[Journal]\nStorage=persistent\nSystemMaxUse=100M\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Everything that decides what one box gets."""

    place: BoxPlace
    config: Config
    facts: BoxFacts
    settings: SettingsSet
    release_id: str
    secrets: dict[str, NodeSecrets] = field(repr=False)

    @property
    def systemd(self) -> SystemdOf:
        """What the box's systemd knows."""
        return SystemdOf(
            version=self.facts.systemd or 0, knows_system_service=self.facts.knows_system_service
        )


def base_wants(target: Target) -> tuple[Want, ...]:
    """Return what must be there before anything of ours runs: user, folders, clock, server."""
    wants: list[Want] = [
        User(name=places.USER, home=places.STATE),
        Directory(path=places.ETC),
        *clock_wants(target.facts),
    ]
    if target.place.is_node:
        wants += [
            Directory(path=places.BASE),
            Directory(path=places.RELEASES),
            Directory(path=places.CACHE),
            Directory(path=places.SETTINGS),
            # root writes here, so that nobody else may make a link for it to follow
            Directory(path=places.SECRETS, mode="750", owner=f"root:{places.USER}"),
            Directory(path=places.STATE, mode="700", owner=places.OWNER),
            Directory(path="/etc/systemd/journald.conf.d"),
            File(
                path=places.JOURNALD,
                content=_JOURNALD.encode(),
                reader="systemd-journald.service",
            ),
            # not on a witness: that may be anybody's other machine, and is not ours to reset
            *watchdog_wants(target.facts),
        ]
    if target.place.has_store and not target.facts.store_server:
        wants.append(Packages(names=("redis-server",)))
    return tuple(wants)


def store_wants(target: Target) -> tuple[Want, ...]:
    """Return this box's lease store: configuration, users, unit, running."""
    if not target.place.has_store:
        return ()
    settings = _store_settings(target)
    conf = store_conf(settings)
    acl = store_acl(settings) if settings.has_users else ""
    server = target.facts.store_server or STORE_SERVERS[0]
    fingerprint = _hash(conf, acl, store_unit(server, "", target.systemd))
    wants: list[Want] = [
        File(
            path=places.STORE_CONF,
            content=conf.encode(),
            mode="600",
            owner=places.OWNER,
            is_secret=not settings.has_users,
        )
    ]
    if acl:
        wants.append(
            File(
                path=places.STORE_ACL,
                content=acl.encode(),
                mode="600",
                owner=places.OWNER,
                is_secret=True,
            )
        )
    unit = store_unit(server, fingerprint, target.systemd)
    wants += [
        File(path=f"{places.UNITS}/{places.STORE_UNIT}", content=unit.encode()),
        Enabled(unit=places.STORE_UNIT),
        Running(unit=places.STORE_UNIT, fingerprint=fingerprint),
    ]
    return tuple(wants)


def settings_wants(target: Target) -> tuple[Want, ...]:
    """Return this node's settings, beside those in use: nothing is switched."""
    if not target.place.is_node:
        return ()
    folder = f"{places.SETTINGS}/{target.settings.set_id}"
    names = sorted(target.settings.files)
    folders = sorted({f"{folder}/{n}".rpartition("/")[0] for n in names})
    wants: list[Want] = [Directory(path=path) for path in folders]
    wants += [File(path=f"{folder}/{n}", content=target.settings.files[n]) for n in names]
    wants.append(Link(path=f"{folder}/secrets", target=places.SECRETS))
    return tuple(wants)


def paper_wants(target: Target) -> tuple[Want, ...]:
    """Return the paper exchange of this box, if cluster.toml trades at it; needs the release."""
    port = paper_port(target.config, target.place.name)
    if not target.place.has_paper or port is None:
        return ()
    conf = _paper_conf(target, port)
    accounts = _paper_accounts(target)
    fingerprint = _hash(conf, accounts, target.release_id, paper_unit("", target.systemd))
    unit = paper_unit(fingerprint, target.systemd)
    return (
        File(path=places.PAPER_CONF, content=conf.encode(), owner=places.OWNER),
        File(
            path=places.PAPER_ACCOUNTS,
            content=accounts.encode(),
            mode="600",
            owner=places.OWNER,
            is_secret=True,
        ),
        File(path=f"{places.UNITS}/{places.PAPER_UNIT}", content=unit.encode()),
        Enabled(unit=places.PAPER_UNIT),
        Running(unit=places.PAPER_UNIT, fingerprint=fingerprint),
    )


def backup_wants(target: Target) -> tuple[Want, ...]:
    """Return the node's daily backup into a folder of this box; needs the release."""
    unit = backup_unit(target.place.name, target.config.cluster.profile.value, target.systemd)
    return (
        Directory(path=places.BACKUPS, mode="700", owner=places.OWNER),
        File(path=f"{places.UNITS}/{places.BACKUP_UNIT}", content=unit.encode()),
        File(path=f"{places.UNITS}/{places.BACKUP_TIMER}", content=backup_timer().encode()),
        Enabled(unit=places.BACKUP_TIMER),
        Started(unit=places.BACKUP_TIMER),
    )


def node_fingerprint(target: Target, *, release_id: str = "", settings_id: str = "") -> str:
    """Return what names exactly what this node runs: release, settings, secrets, unit."""
    unit = _node_unit(target, "")
    own = target.secrets[target.place.name].content.decode("utf-8", "replace")
    return _hash(release_id or target.release_id, settings_id or target.settings.set_id, own, unit)


def node_wants(target: Target, *, release_id: str = "", settings_id: str = "") -> tuple[Want, ...]:
    """Return the switch itself: secrets, links, unit, running. Another release or set if said."""
    release = release_id or target.release_id
    settings = settings_id or target.settings.set_id
    fingerprint = node_fingerprint(target, release_id=release, settings_id=settings)
    _, nodectl, unit = _single_files(target)
    return (
        *secrets_wants(target),
        File(path=nodectl, content=_nodectl(target), mode="755"),
        *_node_links(release, settings),
        File(path=unit, content=_node_unit(target, fingerprint).encode()),
        Enabled(unit=places.NODE_UNIT),
        Running(unit=places.NODE_UNIT, fingerprint=fingerprint),
    )


def secrets_wants(target: Target) -> tuple[Want, ...]:
    """Return this node's secrets, which count from its next start on."""
    path, _, _ = _single_files(target)
    content = target.secrets[target.place.name].content
    return (File(path=path, content=content, mode="600", owner=places.OWNER, is_secret=True),)


def keep_wants(target: Target) -> tuple[Want, ...]:
    """Return copies of what a switch writes over, for `back_wants`."""
    return tuple(Kept(path=path) for path in _single_files(target))


def copies(target: Target) -> tuple[str, ...]:
    """Return where these copies lie."""
    return tuple(f"{path}{COPY}" for path in _single_files(target))


def back_wants(
    target: Target, *, release_id: str, settings_id: str, fingerprint: str
) -> tuple[Want, ...]:
    """Return the switch back to what ran before, as it was: its links, secrets and unit.

    `fingerprint` is what that noted when it was started, empty where that is not known.
    """
    return (
        *(Back(path=path) for path in _single_files(target)),
        *_node_links(release_id, settings_id),
        Enabled(unit=places.NODE_UNIT),
        Running(unit=places.NODE_UNIT, fingerprint=fingerprint or "not known"),
    )


def _single_files(target: Target) -> tuple[str, str, str]:
    """Return the files of which a box has one version: secrets, `nodectl`, the node's unit."""
    secrets = f"{places.SECRETS}/{target.place.name}.toml"
    return secrets, places.NODECTL, f"{places.UNITS}/{places.NODE_UNIT}"


def _node_links(release_id: str, settings_id: str) -> tuple[Want, ...]:
    return (
        Link(path=places.CURRENT, target=f"{places.RELEASES}/{release_id}"),
        Link(path=places.SETTINGS_CURRENT, target=f"{places.SETTINGS}/{settings_id}"),
    )


def _node_unit(target: Target, fingerprint: str) -> str:
    place = target.place
    profile = target.config.cluster.profile.value
    return node_unit(place.name, profile, fingerprint, target.systemd, has_store=place.has_store)


def _store_settings(target: Target) -> StoreSettings:
    store = next(s for s in target.config.stores if s.name == target.place.name)
    any_node = next(iter(target.secrets.values()))
    version = target.facts.store_version
    return StoreSettings(
        address=store.host,
        port=store.port,
        cluster_id=target.config.cluster_id,
        password=any_node.values.store_password(store.name) or "",
        version=tuple(int(p) for p in version.split(".") if p.isdigit()) or (7,),
    )


def _nodectl(target: Target) -> bytes:
    return f"""\
#!/bin/sh
# Written by hotspare's deployment. Runs nodectl as the user that owns the node's files.
set -eu
run="env HOTSPARE_CONFIG={places.SETTINGS_CURRENT}/cluster.toml HOTSPARE_NODE={target.place.name} \\
  HOTSPARE__CLUSTER__PROFILE={target.config.cluster.profile.value} \\
  HOTSPARE__STATE_DIR={places.STATE} {places.BIN}/nodectl"
cd /
if [ "$(id -un)" = {places.USER} ]; then
  exec $run "$@"
elif [ "$(id -u)" = 0 ]; then
  exec runuser -u {places.USER} -- $run "$@"
fi
exec sudo -u {places.USER} $run "$@"
""".encode()


def _paper_conf(target: Target, port: int) -> str:
    symbols = sorted({s for strategy in target.config.strategies for s in strategy.symbols})
    listed = [
        {"symbol": symbol, "seed": place + 1, "timeframe": "1m", "start_price": "100"}
        for place, symbol in enumerate(symbols)
    ]
    return json.dumps(
        {
            "accounts": places.PAPER_ACCOUNTS,
            "state_dir": places.PAPER_STATE,
            "host": target.config.nodes[target.place.name].host,
            "port": port,
            "symbols": listed,
        },
        indent=2,
    )


def _paper_accounts(target: Target) -> str:
    """Return one account with a key for each node: as at a real venue."""
    keys = []
    for node_id in target.config.nodes:
        key, secret = target.secrets[node_id].values.venue_key()
        keys.append({"name": node_id, "key": key, "secret": secret})
    coins = {c for s in target.config.strategies for symbol in s.symbols for c in symbol.split("/")}
    balances = dict.fromkeys(sorted(coins), PAPER_BALANCE)
    account = {"name": "main", "uid": 1001, "balances": balances, "keys": keys}
    return json.dumps({"accounts": [account]}, indent=2)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

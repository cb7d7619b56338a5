"""The cluster's folder as boxes get it: one set of files without secrets, and each node's secrets.

A set is named by its content and lies beside the ones before it, so that switching to it, and
back, is one link. Secrets lie apart, one file a node, on that node's box alone.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from deploy.errors import InventoryRefused
from node.config_model import Config
from node.secrets import FOLDER, Secrets, load_secrets

MARKER = "new-cluster"
REQUIREMENTS = "requirements.txt"
STRATEGY_LOCK = "requirements.lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsSet:
    """The files of a set by their path below it, and its name."""

    set_id: str
    files: dict[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSecrets:
    """One node's secrets file, and what it says."""

    content: bytes = field(repr=False)
    values: Secrets = field(repr=False)


def read_settings(config: Config, text: bytes | None = None) -> SettingsSet:
    """Collect cluster.toml, the strategies' own files and the marker of a new cluster.

    Args:
        config: the cluster.
        text: what cluster.toml will say, where that is not written yet.

    Raises:
        InventoryRefused: a strategy's file is missing, or lies outside the cluster's folder.
    """
    assert config.path is not None
    files = {"cluster.toml": config.path.read_bytes() if text is None else text}
    for overlay in sorted(config.directory.glob(f"{config.path.stem}.*{config.path.suffix}")):
        files[f"cluster.{overlay.name.removeprefix(f'{config.path.stem}.')}"] = overlay.read_bytes()
    for strategy in config.strategies:
        if not strategy.use.endswith(".py"):
            continue
        path = (config.directory / strategy.use).resolve()
        if not path.is_relative_to(config.directory.resolve()):
            raise InventoryRefused(
                f"{strategy.use}: lies outside {config.directory}\n    → move it into the "
                "cluster's folder: that folder is what boxes get"
            )
        try:
            files[str(path.relative_to(config.directory.resolve()))] = path.read_bytes()
        except OSError as error:
            raise InventoryRefused(f"{path}: cannot be read: {error.strerror}") from error
    marker = config.directory / MARKER
    if marker.exists():
        files[MARKER] = marker.read_bytes()
    told = hashlib.sha256()
    for name in sorted(files):
        told.update(f"{name}\0{len(files[name])}\0".encode() + files[name])
    return SettingsSet(set_id=told.hexdigest()[:12], files=files)


def read_secrets(config: Config, node_id: str) -> NodeSecrets:
    """Read one node's secrets file from the cluster's folder.

    Raises:
        InventoryRefused: it is not there.
        SecretsRefused: it cannot be used.
    """
    path = config.directory / FOLDER / f"{node_id}.toml"
    if not path.exists():
        raise InventoryRefused(
            f"{path}: is not there\n    → `nodectl init` writes it; bring it back from a backup, "
            "or deploy from the machine that has it"
        )
    values = load_secrets(config, node_id, {})
    return NodeSecrets(content=path.read_bytes(), values=values)


def strategy_lock(config: Config) -> Path | None:
    """Return the lock of the strategies' own requirements, None when they have none.

    Raises:
        InventoryRefused: there are requirements but no lock with hashes.
    """
    lock = config.directory / STRATEGY_LOCK
    if lock.exists():
        if "--hash=sha256:" not in lock.read_text(encoding="utf-8"):
            raise InventoryRefused(
                f"{lock}: has no hashes\n    → make it with: uv pip compile --universal "
                f"--generate-hashes --no-header {REQUIREMENTS} -o {STRATEGY_LOCK}"
            )
        return lock
    if (config.directory / REQUIREMENTS).exists():
        raise InventoryRefused(
            f"{config.directory / REQUIREMENTS}: is not locked\n    → in that folder run: uv pip "
            f"compile --universal --generate-hashes --no-header {REQUIREMENTS} -o {STRATEGY_LOCK}"
        )
    return None

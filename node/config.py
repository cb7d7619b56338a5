"""Reading the configuration: one TOML file, a profile overlay, the environment, all errors at once.

Order, later wins: `cluster.toml`, then `cluster.<profile>.toml` beside it when there is one, then
`HOTSPARE__SECTION__KEY` from the environment (lists by number: `HOTSPARE__STORES__0__HOST`).
Shapes are in config_model.py, relations in config_rules.py; both are re-exported here, so that
the rest of the node imports `node.config` only.
"""

import tomllib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from node.config_box import DeadmanConfig, HealthConfig
from node.config_model import (
    ClusterConfig,
    Config,
    LeaseConfig,
    LogConfig,
    LogLevel,
    NodeConfig,
    Profile,
    RiskConfig,
    StoreConfig,
    StrategyConfig,
    TelegramConfig,
    Topology,
    VenueConfig,
)
from node.config_rules import Problem, check_config, check_parts
from node.config_shapes import Keys, read_parts, sourced
from node.errors import ConfigRefused
from node.topology import topology_sentence, topology_warnings

__all__ = [
    "ClusterConfig",
    "Config",
    "ConfigRefused",
    "DeadmanConfig",
    "HealthConfig",
    "LeaseConfig",
    "LogConfig",
    "LogLevel",
    "NodeConfig",
    "Problem",
    "Profile",
    "RiskConfig",
    "StoreConfig",
    "StrategyConfig",
    "TelegramConfig",
    "Topology",
    "VenueConfig",
    "check_config",
    "load_config",
    "topology_sentence",
    "topology_warnings",
]

PREFIX = "HOTSPARE__"
PATH_KEYS = (("state_dir",), ("log", "directory"))


def load_config(path: Path, *, profile: str | None = None, environ: Mapping[str, str]) -> Config:
    """Read, merge and check the configuration.

    Args:
        path: the cluster.toml; relative paths inside it count from its folder.
        profile: wins over `HOTSPARE__CLUSTER__PROFILE` and over the file.
        environ: the environment; only names that start with `HOTSPARE__` are looked at.

    Raises:
        ConfigRefused: with every problem found, not only the first.
    """
    path = path.absolute()
    sources: dict[Keys, str] = {}
    tree = _read_toml(path)
    _note(sources, tree, path.name)
    problems: list[Problem] = []
    overrides = list(_overrides(environ))
    chosen = profile or _profile_from(overrides) or _profile_in(tree) or Profile.DEV
    overlay = path.with_name(f"{path.stem}.{chosen}{path.suffix}")
    if chosen in set(Profile) and overlay.is_file():
        problems += _merge(tree, _read_toml(overlay), sources, overlay.name, chosen)
    for name, keys, value in overrides:
        problems += _put(tree, keys, value, sources, name)
    if profile is not None:
        problems += _put(tree, ["cluster", "profile"], profile, sources, "--profile")
    _resolve_paths(tree, path.parent)
    parts, shape_problems = read_parts(tree, sources)
    problems += shape_problems
    problems += [sourced(p, sources) for p in check_parts(parts)]
    if problems:
        raise ConfigRefused(problems, path=path)
    return Config.model_validate(tree, context={"path": path})


def _read_toml(path: Path) -> dict[str, Any]:
    """Return one file's tree; numbers with a point stay exact (Decimal)."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        mend = "run `nodectl init`, or name the file with --config or HOTSPARE_CONFIG"
        raise ConfigRefused(
            [Problem(path=str(path), message=f"cannot be read: {error.strerror}", mend=mend)],
            path=path,
        ) from error
    except UnicodeDecodeError as error:
        mend = "save it as UTF-8 text"
        raise ConfigRefused(
            [Problem(path=str(path), message="is not UTF-8", mend=mend)], path=path
        ) from error
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        mend = "mend that line; text needs quotes, lists [ ], sections [name]"
        raise ConfigRefused(
            [Problem(path=str(path), message=f"is not TOML: {error}", mend=mend)], path=path
        ) from error


# --- merging: files, overlay, environment ------------------------------------------------------


def _note(sources: dict[Keys, str], tree: Any, name: str, at: Keys = ()) -> None:
    sources[at] = name
    items: Iterator[tuple[str | int, Any]]
    if isinstance(tree, dict):
        items = iter(tree.items())
    elif isinstance(tree, list):
        items = enumerate(tree)
    else:
        return
    for key, value in items:
        _note(sources, value, name, (*at, key))


def _merge(
    tree: dict[str, Any], over: dict[str, Any], sources: dict[Keys, str], name: str, profile: str
) -> list[Problem]:
    """Put the overlay over the tree: tables are merged, lists and values replaced."""
    named = _profile_in(over)
    problems: list[Problem] = []
    if named is not None and named != profile:
        problems.append(
            Problem(
                path="cluster.profile",
                message=f"the overlay of profile {profile} names profile {named}",
                mend="remove cluster.profile from the overlay",
                source=name,
            )
        )
    _merge_tables(tree, over, sources, name, ())
    return problems


def _merge_tables(
    tree: dict[str, Any], over: dict[str, Any], sources: dict[Keys, str], name: str, at: Keys
) -> None:
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(tree.get(key), dict):
            _merge_tables(tree[key], value, sources, name, (*at, key))
        else:
            tree[key] = value
            _note(sources, value, name, (*at, key))


def _overrides(environ: Mapping[str, str]) -> Iterator[tuple[str, list[str], Any]]:
    for name in sorted(environ):
        if name.startswith(PREFIX):
            keys = name.removeprefix(PREFIX).lower().split("__")
            yield name, keys, _parse_value(environ[name])


def _parse_value(text: str) -> Any:
    """Read an environment value as TOML where it is that, else as text."""
    try:
        return tomllib.loads(f"value = {text}", parse_float=Decimal)["value"]
    except tomllib.TOMLDecodeError:
        return text


def _profile_from(overrides: list[tuple[str, list[str], Any]]) -> str | None:
    for _, keys, value in overrides:
        if keys == ["cluster", "profile"]:
            return str(value)
    return None


def _profile_in(tree: Mapping[str, Any]) -> str | None:
    cluster = tree.get("cluster")
    value = cluster.get("profile") if isinstance(cluster, dict) else None
    return value if isinstance(value, str) else None


def _put(
    tree: dict[str, Any], keys: list[str], value: Any, sources: dict[Keys, str], name: str
) -> list[Problem]:
    """Set one value from the environment; names match with "-" and "_" alike."""
    spot: Any = tree
    done: Keys = ()
    for place, wanted in enumerate(keys):
        is_last = place == len(keys) - 1
        if isinstance(spot, list):
            if not wanted.isdigit() or int(wanted) >= len(spot):
                break
            key: str | int = int(wanted)
        elif isinstance(spot, dict):
            same = [k for k in spot if k.lower().replace("-", "_") == wanted.replace("-", "_")]
            key = same[0] if same else wanted
        else:
            break
        done = (*done, key)
        if is_last:
            spot[key] = value
            _note(sources, value, name, done)
            return []
        if isinstance(spot, dict) and key not in spot:
            spot[key] = {}
            sources[done] = name
        spot = spot[key]
    return [
        Problem(
            path=".".join(keys),
            message="there is no such place to set",
            mend=f"see docs/configuration.md, or unset {name}",
            source=name,
        )
    ]


def _resolve_paths(tree: dict[str, Any], folder: Path) -> None:
    """Make relative paths absolute, so that the working folder does not matter."""
    for *tables, last in PATH_KEYS:
        spot: Any = tree
        for table in tables:
            spot = spot.get(table) if isinstance(spot, dict) else None
        if isinstance(spot, dict) and isinstance(spot.get(last), str):
            spot[last] = str(folder / Path(spot[last]).expanduser())
    tree.setdefault("state_dir", str(folder / "state"))
    strategies = tree.get("strategies")
    for entry in strategies if isinstance(strategies, list) else ():
        use = entry.get("use") if isinstance(entry, dict) else None
        if isinstance(use, str) and use.endswith(".py"):
            entry["use"] = str(folder / Path(use).expanduser())

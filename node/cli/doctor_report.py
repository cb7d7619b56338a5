"""Gathers what a report is made of, each part for itself: one that fails is said, and no more.

Rules of this file: it is for the night on which nothing works, so it needs neither a usable
configuration nor a store that answers; it changes nothing; what leaves it went through
`dossier.render_page`.
"""

import contextlib
import dataclasses
import json
import os
import platform
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from election.peek import ClusterPeek, named_documents
from exchange.journal import merge
from node.cli.common import look, open_config, open_secrets, to_plain, wall_ms
from node.config import Config
from node.doctor.box_reader import read_box, run_command
from node.doctor.dossier import Names, Section, hide_named_secrets, render_page
from node.doctor.examine import facts_of, list_all, look_at_box, look_outside
from node.doctor.looked import render_looked
from node.doctor.losses import list_losses, topology_row
from node.doctor.report import render_findings, render_losses
from node.errors import CommandRefused, NodeError
from node.lenient import find_at, parse_tree, read_text, secret_values
from node.log_reader import LogFilter, LogFollower, render_line
from node.logs import FILE_NAME as LOG_FILE
from node.secrets import FOLDER, Secrets
from node.secrets_file import PREFIX
from node.starts_file import FILE_NAME as STARTS_FILE
from node.starts_file import WORDS_FILE
from node.status import build_status
from node.status_money import takeover_lines
from node.status_render import render_status, takeover_text
from node.version import program_version

EVENTS_MAX = 300
TAKEOVERS_MAX = 10
JOURNAL_LINES = 200
BOOKS = ("crashes.json", STARTS_FILE, WORDS_FILE)
JOURNALCTL = (
    *("journalctl", "--unit=hotspare-node.service", f"--lines={JOURNAL_LINES}"),
    *("--no-pager", "--output=short-iso"),
)


@dataclass(slots=True, kw_only=True)
class Dossier:
    """What was found so far; a part that could not be read leaves its field None."""

    config_path: Path
    profile: str | None
    node: str | None
    quick: bool
    config: Config | None = None
    secrets: Secrets | None = None
    seen: ClusterPeek | None = None


def build_report(dossier: Dossier, *, anonymous: bool) -> str:
    """Return the page; never raises for what the night has broken."""
    sections = [
        _part("About", lambda: _about(dossier)),
        _part("Configuration", lambda: _configuration(dossier)),
        _part("Secrets: which there are", lambda: _secrets(dossier)),
        _part("Status", lambda: _status(dossier)),
        _part("Findings", lambda: _findings(dossier)),
        _part("Last takeovers", lambda: _takeovers(dossier)),
        _part("This box", lambda: _box(dossier)),
        _part("Crashes and failed starts", lambda: _books(dossier)),
        _part(f"Last {EVENTS_MAX} events", lambda: _events(dossier)),
        _part("Unit's journal", lambda: run_command(JOURNALCTL) or "(not readable here)"),
    ]
    names = _names(dossier) if anonymous else None
    return render_page(sections, secret_values=_all_secrets(dossier), names=names)


def _part(title: str, build: Callable[[], str]) -> Section:
    try:
        return Section(title=title, body=build())
    except NodeError as error:
        return Section(title=title, body=error.render())
    except Exception as error:  # noqa: BLE001  (the night on which nothing works)
        return Section(title=title, body=f"could not be read: {type(error).__name__}: {error}")


def _about(dossier: Dossier) -> str:
    del dossier
    return "\n".join(
        (
            f"hotspare {program_version()}",
            f"Python {sys.version.split()[0]}, {platform.platform()}",
            f"host {socket.gethostname()}",
            f"written {datetime.now(UTC).isoformat(timespec='seconds')}",
        )
    )


def _configuration(dossier: Dossier) -> str:
    try:
        config = open_config(dossier.config_path, dossier.profile)
    except NodeError as error:
        text = hide_named_secrets(read_text(dossier.config_path))
        return f"{error.render()}\n\n{dossier.config_path} as it is:\n{text}"
    dossier.config = config
    return json.dumps(to_plain(config.model_dump(mode="json")), indent=1, ensure_ascii=False)


def _secrets(dossier: Dossier) -> str:
    if dossier.config is None:
        return "not looked at: the configuration cannot be used"
    dossier.secrets = open_secrets(dossier.config, dossier.node)
    given = dossier.secrets.model_dump(mode="json", exclude_none=True)
    return "\n".join(_places(given)) or "none"


def _places(tree: object, at: str = "") -> Iterator[str]:
    if isinstance(tree, dict):
        for name, inner in tree.items():
            yield from _places(inner, f"{at}.{name}" if at else str(name))
    else:
        yield f"{at}: set"


def _status(dossier: Dossier) -> str:
    if dossier.config is None:
        return "not looked at: the configuration cannot be used"
    # Without secrets the stores say at least that they are there.
    dossier.seen = look(dossier.config, dossier.secrets or Secrets())
    return render_status(build_status(dossier.seen, dossier.config, now_wall_ms=wall_ms()))


def _findings(dossier: Dossier) -> str:
    config, seen = dossier.config, dossier.seen
    if config is None or seen is None:
        return "not looked at: there is no picture of the stores"
    looks = (
        None if dossier.quick else look_outside(config, dossier.secrets or Secrets(), dossier.node)
    )
    box = look_at_box(config)
    found = list_all(facts_of(seen, config, now_wall_ms=wall_ms()), seen, looks, box)
    losses = render_losses(config, topology_row(config), list_losses(config))
    looked = render_looked(config, seen, looks, box)
    return f"{render_findings(found)}\n\n{looked}\n\n{losses}"


def _takeovers(dossier: Dossier) -> str:
    if dossier.seen is None:
        return "not looked at: there is no picture of the stores"
    merged = merge(named_documents(dossier.seen))
    remarks: list[str] = []
    lines = takeover_lines(merged.journal, remarks)[-TAKEOVERS_MAX:]
    return "\n".join([*(takeover_text(line, zone=UTC) for line in reversed(lines)), *remarks])


def _box(dossier: Dossier) -> str:
    folders = list(_state_dirs(dossier))
    state_dir = folders[0] if folders else dossier.config_path.absolute().parent
    box = read_box(state_dir.name, state_dir.name, state_dir)
    return json.dumps(to_plain(dataclasses.asdict(box)), indent=1, ensure_ascii=False)


def _books(dossier: Dossier) -> str:
    parts = [
        f"{folder.name}/{name}:\n{text}"
        for folder in _state_dirs(dossier)
        for name in BOOKS
        if (text := read_text(folder / name))
    ]
    return "\n\n".join(parts)


def _events(dossier: Dossier) -> str:
    lines: deque[str] = deque(maxlen=EVENTS_MAX)
    wanted = LogFilter()
    for folder in _log_dirs(dossier):
        follower = LogFollower(folder / LOG_FILE)
        try:
            lines.extend(render_line(line) for line in follower.poll() if wanted.accepts(line))
        finally:
            follower.close()
    return "\n".join(lines)


# --- where things are, also when the configuration does not say ---------------------------------


def _state_dirs(dossier: Dossier) -> Iterator[Path]:
    """Yield the state directories that are here."""
    config = dossier.config
    if config is not None:
        found = [config.node_state_dir(node_id) for node_id in config.nodes]
    else:
        named = os.environ.get("HOTSPARE__STATE_DIR")
        named = named or find_at(parse_tree(read_text(dossier.config_path)), "state_dir")
        base = dossier.config_path.absolute().parent
        base = base / (named if isinstance(named, str) else "state")
        found = sorted(base.iterdir()) if base.is_dir() else []
    yield from (folder for folder in found if folder.is_dir())


def _log_dirs(dossier: Dossier) -> Iterator[Path]:
    if dossier.config is not None:
        yield from (dossier.config.log_dir(node_id) for node_id in dossier.config.nodes)
    else:
        yield from (folder / "log" for folder in _state_dirs(dossier))


def _all_secrets(dossier: Dossier) -> frozenset[str]:
    """Return every value of every secrets file here, and of the environment, usable or not."""
    found = set(dossier.secrets.all_values()) if dossier.secrets is not None else set()
    folders = [dossier.config_path.absolute().parent / FOLDER]
    if os.environ.get("CREDENTIALS_DIRECTORY"):
        folders.append(Path(os.environ["CREDENTIALS_DIRECTORY"]))
    for folder in folders:
        # what this user may not read cannot be in what this user reads
        with contextlib.suppress(OSError):
            for path in sorted(folder.glob("*")) if folder.is_dir() else ():
                found |= set(secret_values(read_text(path)))
    found |= {value for name, value in os.environ.items() if name.startswith(PREFIX)}
    return frozenset(found)


def _names(dossier: Dossier) -> Names:
    """Return what tells whose cluster this is, from what can be read of the configuration."""
    tree = parse_tree(read_text(dossier.config_path))
    masks: dict[str, str] = {}
    cluster = find_at(tree, "cluster", "name")
    if isinstance(cluster, str):
        masks[cluster] = "[cluster]"
    nodes = find_at(tree, "nodes")
    for number, (node_id, node) in enumerate(nodes.items() if isinstance(nodes, dict) else ()):
        masks[str(node_id)] = f"[node {number + 1}]"
        label = find_at(node, "label")
        if isinstance(label, str):
            masks[label] = f"[box {number + 1}]"
    hosts = [find_at(n, "host") for n in (nodes.values() if isinstance(nodes, dict) else ())]
    stores = find_at(tree, "stores")
    listed = stores if isinstance(stores, list) else []
    hosts += [find_at(s, "host") for s in listed]
    for number, store in enumerate(listed):
        name = find_at(store, "name")
        if isinstance(name, str):
            masks.setdefault(name, f"[store {number + 1}]")
    named = dict.fromkeys(h for h in hosts if isinstance(h, str) and not _is_address(h))
    masks |= {host: f"[host {number + 1}]" for number, host in enumerate(named)}
    masks.setdefault(socket.gethostname(), "[this host]")
    return Names(masks=masks)


def _is_address(host: str) -> bool:
    return host.replace(".", "").isdigit() or ":" in host


def write_report(path: Path, text: str) -> None:
    """Write the page for its owner only, from its first moment on; never over another file.

    Raises:
        CommandRefused: it cannot be written.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise CommandRefused(f"{path} is there already", mend="name another file") from None
    except OSError as error:
        raise CommandRefused(
            f"{path}: cannot be written: {error.strerror}",
            mend="name a file in a folder that you may write to",
        ) from None

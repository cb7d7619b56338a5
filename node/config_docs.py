"""Prints the reference pages from the models: `python -m node.config_docs`.

The text under each field is the one that error messages show, so the page cannot say anything
else than the program does. A test holds the committed pages current.
"""

import sys
from collections.abc import Iterator
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from node.config_model import Config, LeaseConfig
from node.events import EVENTS, Stream

INTRO = """\
# Configuration

One wrong value must not become a lost order at night, so everything is checked before anything
starts: unknown keys are errors (with the nearest known one named), relations are checked as sums,
and all problems are reported at once with their file and how to mend them.
`nodectl config check` does just that; `nodectl config show` prints what counts.

*This page is printed from the models: `python -m node.config_docs`.*

## Where values come from

Later wins:

1. `cluster.toml` (named by `--config`, `$HOTSPARE_CONFIG`, or lying in the current folder). Keep it
   equal on both boxes.
2. `cluster.<profile>.toml` beside it, when it exists: only what differs in that profile. Tables are
   merged, lists and values replaced.
3. The environment: `HOTSPARE__SECTION__KEY`, for example `HOTSPARE__LEASE__TTL_MS=8000`; items of a
   list by number: `HOTSPARE__STORES__0__HOST=192.168.1.12`.

Relative paths count from the folder of `cluster.toml`.

## Profiles

`profile` is part of the cluster's name in Redis (`<profile>-<name>`): a test node can never take
the production lease.

| | dev | test | prod |
|---|---|---|---|
| real exchange (neither `base_url` nor `is_sandbox`) | refused | refused | required |
| `topology = "single-host"` | yes | yes | refused |
| kernel fence may be off | yes | no | no |
| every `[risk]` limit must be set | no | no | yes |
| alerts: `telegram.chat_id`, or `accept_no_alerts = true` | no | no | yes |
| peer endpoint: `host`s and `peer.key`, or `cluster.accept_no_peer = true` | no | no | yes |
| several quote currencies | warning | warning | refused |
"""

SECRETS = """\
## Secrets

Secrets are never in `cluster.toml`. Each node has one file, `<node>.toml`, looked for in
`$CREDENTIALS_DIRECTORY` (systemd) and then in `secrets/` beside `cluster.toml`. It is refused when
others can read it (`chmod 600`). The environment wins over the file:
`HOTSPARE_SECRET__VENUE__API_KEY`, `HOTSPARE_SECRET__STORES__DEFAULT__PASSWORD`,
`HOTSPARE_SECRET__TELEGRAM__TOKEN`.

| key | meaning |
|---|---|
| `venue.api_key`, `venue.api_secret` | its own key: read and spot trading, no withdrawal |
| `stores.<name>.password` | password of one store; `stores.default.password` is for the others |
| `stores.<name>.release_password` | the stop hook's own, weaker one; default: `password` |
| `telegram.token` | token of the bot, from @BotFather |
| `deadman.cluster` | URL the leader pings: silence means that nobody trades ([how](warnings.md)) |
| `deadman.node` | URL that this box pings, its own on each box: silence means that it is down |
| `peer.key` | what the nodes sign with to each other: the same on both boxes; `init` writes one |
"""

EVENTS_INTRO = """\
# Log events

Each line of `log/node.jsonl` is one JSON object: `ts` (UTC), `level`, `event`, `stream`, `node`,
`epoch`, `role`, and fields of its own. Names never change their meaning; `nodectl logs` filters by
them. error = someone must act, warning = may become one, info = changes, debug = ticks.
Secrets, signatures and tokens are replaced by `[redacted]`. When lines cannot be written (a full
disk), the node goes on and says `log.dropped` with their number as soon as it can.

*This page is printed from the table: `python -m node.config_docs`.*
"""


def render_configuration() -> str:
    """Return docs/configuration.md."""
    blocks = [INTRO, "## Sections", "Top level: " + _plain_fields()]
    for name, field in Config.model_fields.items():
        model = _model_in(field.annotation)
        if model is not None:
            blocks.append("\n".join(_section(name, field, model)))
    return "\n".join([*blocks, SECRETS])


def render_events() -> str:
    """Return docs/log-events.md."""
    blocks = [EVENTS_INTRO]
    for stream in Stream:
        rows = [
            f"| `{spec.name}` | {spec.level} | {spec.doc} |"
            for spec in EVENTS.values()
            if spec.stream is stream
        ]
        blocks.append("\n".join([f"## {stream}", "", "| event | level | meaning |", "|---|---|---|",
                                 *rows, ""]))  # fmt: skip
    return "\n".join(blocks)


def main(folder: Path) -> None:
    """Write the pages into the folder."""
    (folder / "configuration.md").write_text(render_configuration(), encoding="utf-8")
    (folder / "log-events.md").write_text(render_events(), encoding="utf-8")


def _plain_fields() -> str:
    plain = [(n, f) for n, f in Config.model_fields.items() if _model_in(f.annotation) is None]
    return " ".join(f"`{name}`: {_text(field)}" for name, field in plain) + "\n"


def _section(name: str, field: FieldInfo, model: type[BaseModel]) -> Iterator[str]:
    yield f'<a id="{name}"></a>'
    yield f"### {_heading(name, field)}"
    yield ""
    yield f"{' '.join((model.__doc__ or '').split())}"
    yield ""
    if model is LeaseConfig:
        yield "A permit to send ends at 0.9·ttl − guard after a renewal was *sent*."
        yield ""
    for key, inner in model.model_fields.items():
        required = " **(required)**" if inner.is_required() else f" = `{_default(inner)}`"
        yield f"- `{key}`{required}: {_text(inner)}"
    yield ""


def _heading(name: str, field: FieldInfo) -> str:
    text = str(field.annotation)
    if text.startswith("tuple"):
        return f"`[[{name}]]`"
    return f"`[{name}.<id>]`" if text.startswith("dict") else f"`[{name}]`"


def _text(field: FieldInfo) -> str:
    return " ".join((field.description or "").split())


def _default(field: FieldInfo) -> str:
    value: Any = field.get_default(call_default_factory=False)
    if field.default_factory is not None or value == ():
        return "empty"
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum):
        return f'"{value.value}"'
    if isinstance(value, str):
        return f'"{value}"'
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = [_model_in(inner) for inner in get_args(annotation)]
    return next((model for model in found if model is not None), None)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs"))

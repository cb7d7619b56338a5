"""nodectl history: the takeovers on record, newest first."""

from typing import Annotated

import typer

from election.peek import named_documents
from exchange.journal import merge
from node.cli.common import (
    ConfigOption,
    JsonOption,
    NodeOption,
    ProfileOption,
    local_zone,
    look,
    open_config,
    open_secrets,
    refuse_silence,
    say,
    say_json,
)
from node.status_money import takeover_lines
from node.status_render import takeover_text

app = typer.Typer(add_completion=False)
CANNOT_TELL = 3
CountOption = Annotated[int, typer.Option("--last", "-l", min=1, help="How many to show.")]


@app.command()
def history(
    config: ConfigOption = None,
    node: NodeOption = None,
    profile: ProfileOption = None,
    last: CountOption = 20,
    *,
    as_json: JsonOption = False,
) -> None:
    """List takeovers: when, who, the gap, why, and what became of the orders.

    Exit codes: 0 shown (also when there was none) · 3 no store answers · 4 mend configuration
    or secrets.
    """
    settings = open_config(config, profile)
    seen = look(settings, open_secrets(settings, node))
    refuse_silence(seen, exit_code=CANNOT_TELL)
    merged = merge(named_documents(seen))
    if as_json:
        entries = merged.journal.takeovers
        say_json([{"epoch": e, **entries[e].body} for e in sorted(entries, reverse=True)[:last]])
        return
    remarks: list[str] = []
    lines = takeover_lines(merged.journal, remarks)
    for line in reversed(lines[-last:]):
        say(takeover_text(line, zone=local_zone()))
    if not lines:
        say("no takeover is on record")
    for remark in remarks:
        say(f"! {remark}")

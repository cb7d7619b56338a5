"""nodectl clear-crashes: a person looked at a node's crashes; it may take the lease again."""

from typing import Annotated

import typer

from election.peek import ClusterPeek
from node.cli.common import (
    ConfigOption,
    NodeOption,
    ProfileOption,
    look,
    open_config,
    open_secrets,
    say,
)
from node.cli.decide import EFFECT_S, NOT_SEEN, decide, living, wait_for
from node.errors import CommandRefused
from node.latches import CLEAR_CRASHES

app = typer.Typer(add_completion=False)
ReasonOption = Annotated[str, typer.Option("--reason", "-r", help="What it was, for the record.")]


@app.command(name="clear-crashes")
def clear_crashes(
    config: ConfigOption = None,
    node: NodeOption = None,
    profile: ProfileOption = None,
    reason: ReasonOption = "",
) -> None:
    """Let a node that crashed too often while it traded take the lease again.

    Works from any machine that reaches the stores. Without --node it means the one node that
    waits for it. Restarting the node lifts nothing: its supervisor does that by itself.

    Exit codes: 0 lifted · 1 no such node waits, or no majority of the stores took it · 3 written,
    but the node did not show it in time · 4 mend configuration or secrets.
    """
    settings = open_config(config, profile)
    secrets = open_secrets(settings, node)
    seen = look(settings, secrets)
    if not seen.has_majority:
        said = "; ".join(str(s.error) for s in seen.stores if s.error)
        raise CommandRefused(f"no majority of the stores answers: {said}", mend="bring them back")
    waiting = _waiting(seen)
    chosen = {name: mark for name, mark in waiting.items() if node in (None, name)}
    if len(chosen) != 1:
        listed = ", ".join(sorted(waiting)) or "none"
        raise CommandRefused(
            f"no single node waits for this; nodes that crashed too often: {listed}",
            mend="start the node if it does not run, or name one with --node",
        )
    ((name, latch_id),) = chosen.items()
    decide(settings, secrets, {CLEAR_CRASHES: {"latch_id": latch_id, "node_id": name}}, reason)

    def is_lifted(seen: ClusterPeek) -> bool:
        return _waiting(seen).get(name) != latch_id

    if not wait_for(settings, secrets, is_lifted, timeout_s=EFFECT_S):
        raise CommandRefused(
            f"it is written to the stores, but {name} did not show it within {EFFECT_S:g} s",
            mend="look with `nodectl status` and `nodectl logs`",
            exit_code=NOT_SEEN,
        )
    say(f"crashes of {name} cleared: it may take the lease again")


def _waiting(seen: ClusterPeek) -> dict[str, str]:
    """Return the living nodes that wait for this word, with what lifts each."""
    marks = {n: str(m.body.get("crash_latch_id") or "") for n, m in living(seen).items()}
    return {name: mark for name, mark in marks.items() if mark}

"""nodectl stand-down: the standby promises not to take over, so that its box may reboot (R14)."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from election.errors import (
    IdentityRefused,
    PeerUnreachable,
    PromiseFileUnusable,
    StateDirUnusable,
)
from election.peek import merged_members
from election.peer import PeerStatus
from election.promise import NOTHING_PROMISED, PromiseMemory, PromiseState, describe
from election.promise_file import DiskPromiseFile
from election.state_lock import StateClaim
from node.cli.common import (
    ConfigOption,
    JsonOption,
    NodeOption,
    ProfileOption,
    find_node_id,
    look,
    open_config,
    say,
    say_json,
)
from node.cli.lazy import USAGE
from node.config import Config
from node.errors import CommandRefused
from node.peer_client import STEP_S, PeerClient, peer_client
from node.peer_rules import COMMAND, other_node
from node.role import has_lease
from node.secrets import Secrets, load_secrets
from node.state_files import PROMISE_FILE
from node.status_nodes import MEMBER_FRESH_S, role_of

app = typer.Typer(add_completion=False)
UNSURE = 3  # exit code
EndOption = Annotated[
    bool, typer.Option("--end", help="End it, in agreement with the node that leads.")
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="End it without the leader: only when that box is off.")
]
ShowOption = Annotated[bool, typer.Option("--show", help="Show what is promised; change nothing.")]
YesOption = Annotated[bool, typer.Option("--yes", help="With --force: do not ask.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """This machine's node and how both nodes are asked."""

    config: Config
    secrets: Secrets
    node_id: str
    other: str | None
    own: PeerClient | None
    peer: PeerClient | None

    @property
    def file(self) -> DiskPromiseFile:
        """Where this node remembers its promise."""
        return DiskPromiseFile(self.config.node_state_dir(self.node_id) / PROMISE_FILE)

    def label(self, node_id: str | None) -> str:
        """Return what people call a node."""
        return "the other node" if node_id is None else self.config.label_of(node_id)


@app.command(name="stand-down")
def stand_down(
    config: ConfigOption = None,
    node: NodeOption = None,
    profile: ProfileOption = None,
    *,
    end: EndOption = False,
    force: ForceOption = False,
    show: ShowOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Promise, on the standby's box, not to take over: the leader then trades on without the store.

    For two boxes with one store: say it before the standby's box (and the store on it) reboots.
    It ends by itself once the box is back and the leader agrees. If the leader dies meanwhile,
    NOBODY trades until a person says --force here, with the leader's box known to be off.

    Exit codes: 0 done (with --show: nothing is promised) · 1 refused, nothing changed (with
    --show: a promise stands) · 3 the promise stands, but the leader did not acknowledge it, or
    its end is not certain · 4 mend configuration or secrets · 64 wrong usage.
    """
    if end + force + show > 1:
        raise CommandRefused(
            "--end, --force and --show exclude each other", mend="say one", exit_code=USAGE
        )
    here = _here(config, node, profile)
    if show:
        _show(here, as_json=as_json)
    step = "end" if end else "force" if force else "begin"
    if force and not yes:
        _confirm(here)
    answer = _ask(here, step)
    code = {"done": 0, "refused": 1}.get(str(answer.get("code")), UNSURE)
    if as_json:
        say_json(answer)
    else:
        _tell(here, step, str(answer.get("text", "")), code)
    raise typer.Exit(code)


def _here(config: Any, node: str | None, profile: str | None) -> Here:
    settings = open_config(config, profile)
    node_id = find_node_id(settings, node)

    secrets = load_secrets(settings, node_id, os.environ)
    other = other_node(settings, node_id)
    key = secrets.peer_key()
    if other is None or key is None:
        return Here(
            config=settings, secrets=secrets, node_id=node_id, other=other, own=None, peer=None
        )
    return Here(
        config=settings,
        secrets=secrets,
        node_id=node_id,
        other=other,
        own=peer_client(settings, sender=COMMAND, receiver=node_id, key=key),
        peer=peer_client(settings, sender=COMMAND, receiver=other, key=key),
    )


def _ask(here: Here, step: str) -> Mapping[str, Any]:
    """Let this box's node do the step; a forced end is also possible while it is stopped."""
    if here.own is None and step != "force":
        raise CommandRefused(
            "the peer endpoint is off, so nobody can be promised anything",
            mend="give both nodes a host in cluster.toml and one peer.key in their secrets",
        )
    try:
        if here.own is not None:
            return here.own.stand_down({"step": step}, timeout_s=STEP_S)
        problem = "the peer endpoint is off"
    except PeerUnreachable as error:
        problem = str(error)
    if step == "force":
        return _force_on_disk(here, problem)
    raise CommandRefused(
        f"the node {here.node_id} of this box does not answer: {problem}",
        mend="start it first; it is the node that promises (see `nodectl status`)",
    )


def _force_on_disk(here: Here, problem: str) -> Mapping[str, Any]:
    """End a promise while the node of this box is stopped, and the other one is dead."""
    status = _status(here.peer)
    if isinstance(status, PeerStatus):
        alive = here.other if status.is_holder else None
    else:
        alive = _trades_on(here)
    if alive is not None:
        return {"code": "refused", "text": f"{alive} is alive and holds the lease"}
    try:
        with StateClaim(here.config.node_state_dir(here.node_id)):
            here.file.store(NOTHING_PROMISED)
    except StateDirUnusable as error:
        raise CommandRefused(str(error)) from None
    except IdentityRefused as error:
        raise CommandRefused(
            f"the node runs but does not answer here ({problem}): {error}",
            mend="stop it, and say it again",
        ) from None
    except (OSError, PromiseFileUnusable) as error:
        raise CommandRefused(str(error), mend="make the state directory writable") from None
    return {"code": "done", "text": "the promise is over: a person said that the holder is dead"}


def _trades_on(here: Here) -> str | None:
    """Return which other node shows itself in the stores as one that leads, None for nobody."""
    for node_id, member in merged_members(look(here.config, here.secrets)).items():
        leads = has_lease(role_of(member))
        relies = bool(member.body.get("relies_on"))
        is_fresh = member.age_s <= MEMBER_FRESH_S
        if node_id != here.node_id and is_fresh and (leads or relies):
            return str(node_id)
    return None


def _confirm(here: Here) -> None:
    other = here.label(here.other)
    say(
        f"Only if {other} is OFF (unplugged, or you see that it is dead): if it still trades, cut "
        "off from here, two nodes would trade at once."
    )
    if not typer.confirm(f"Is {other} off?", default=False):
        raise CommandRefused("nothing was changed", mend="while it is on: nodectl stand-down --end")


def _tell(here: Here, step: str, text: str, code: int) -> None:
    other = here.label(here.other)
    if code == 1:
        raise CommandRefused(text or "refused", mend="look with `nodectl stand-down --show`")
    say(text)
    if step == "begin" and code == 0:
        say(
            f"This box may go down now; {other} trades on without the store.\n"
            "It ends by itself once this node runs again and the leader renews in the store.\n"
            f"! If {other} dies meanwhile, NOBODY trades. Then, with {other} known to be off:\n"
            "    nodectl stand-down --force"
        )
    elif step == "begin":
        say(
            "! The promise stands on this disk, so this node does not take over. Say it again, or "
            "end it:\n    nodectl stand-down --end"
        )


# --- showing -------------------------------------------------------------------------------------


def _status(client: PeerClient | None) -> PeerStatus | str:
    if client is None:
        return "the peer endpoint is off"
    try:
        return client.status()
    except PeerUnreachable as error:
        return str(error)


def _show(here: Here, *, as_json: bool) -> None:
    file = here.file
    memory = file.load()
    seen = {here.node_id: _status(here.own)}
    if here.other is not None:
        seen[here.other] = _status(here.peer)
    code = 0 if memory.state is PromiseState.NONE else 1
    if as_json:
        say_json(
            {
                "promise": memory.state.value,
                "given": None if memory.promise is None else memory.promise.to_body(),
                "nodes": {
                    n: {"error": s} if isinstance(s, str) else {"status": s}
                    for n, s in seen.items()
                },
            }
        )
        raise typer.Exit(code)
    say(_words(here, memory, file.warning))
    for node_id, status in seen.items():
        say(f"{node_id}: {_line(status)}")
    raise typer.Exit(code)


def _words(here: Here, memory: PromiseMemory, warning: str) -> str:
    labels = {n: here.config.label_of(n) for n in here.config.nodes}
    text = describe(memory, labels) or "nothing is promised"
    return f"{here.node_id}: {text}" + (f" ({warning})" if warning else "")


def _line(status: PeerStatus | str) -> str:
    if isinstance(status, str):
        return f"not heard directly: {status}"
    parts = [f"holds epoch {status.epoch}" if status.is_holder else "does not hold the lease"]
    if status.stood_down:
        parts.append("has stood down")
    if status.relies_on:
        parts.append("trades on by the other node's promise")
    return ", ".join(parts)

"""nodectl drill: hurt the pair on purpose, measure what happens, judge it, remember it."""

import secrets as random_secrets
import sys
import time
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from election.peek import ClusterPeek, merged_control
from election.redis_control import ControlBoard
from node.cli.common import (
    ConfigOption,
    JsonOption,
    NodeOption,
    ProfileOption,
    find_node_id,
    local_zone,
    look,
    open_config,
    open_secrets,
    refuse_silence,
    say,
    say_json,
    wall_ms,
    who_asks,
)
from node.cli.decide import decide
from node.cli.lazy import USAGE
from node.config import Config
from node.config_model import Profile
from node.drill.history import results_of, with_result
from node.drill.model import (
    DRILL,
    DRILL_LOG,
    LASTING_MAX_S,
    DrillKind,
    DrillRequest,
    DrillResult,
    Outcome,
)
from node.drill.report import describe, render_history, render_result
from node.drill.rules import (
    BACK_S,
    PLUG_BACK_S,
    DrillPlan,
    default_lasting_s,
    list_refusals,
    would_stop,
)
from node.drill.track import running_of, tickets_of
from node.drill.venue_look import CANNOT_READ, check_log, check_orders
from node.drill.verdict import Seen, judge
from node.drill.watching import DrillWatch
from node.durations import parse_duration
from node.errors import CommandRefused, NodeError
from node.latches import SWITCHOVER
from node.secrets import Secrets
from node.status import build_status
from node.status_model import StatusView
from node.store_addresses import store_addresses

app = typer.Typer(add_completion=False)
NOT_PASSED, CANNOT_TELL = 2, 3


class What(StrEnum):
    """What can be asked for."""

    CRASH = "crash"
    HANG = "hang"
    PARTITION = "partition"
    STORE = "store"
    SWITCHOVER = "switchover"
    PLUG = "plug"
    HISTORY = "history"


WhatArgument = Annotated[What, typer.Argument(help="Which drill, or the drills on record.")]
StoreArgument = Annotated[str | None, typer.Argument(help="drill store: which one.")]
LastingOption = Annotated[
    str | None, typer.Option("--for", help="partition, store: how long it is cut off (20s).")
]
BackOption = Annotated[
    str | None, typer.Option("--back-within", help="How long the hurt node may take to return.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask (never enough in prod).")]
NameOption = Annotated[
    str | None, typer.Option("--name", help="The cluster's name, instead of typing it.")
]
StopOption = Annotated[
    bool, typer.Option("--accept-stop", help="Run it although trading stops meanwhile.")
]
LogOption = Annotated[
    Path | None, typer.Option("--venue-log", help="requests.jsonl of a paper exchange to check.")
]
NoVenueOption = Annotated[
    bool, typer.Option("--no-venue-check", help="Do not read the venue's record.")
]


@app.command()
def drill(
    what: WhatArgument,
    store: StoreArgument = None,
    config: ConfigOption = None,
    node: NodeOption = None,
    profile: ProfileOption = None,
    lasting: LastingOption = None,
    back_within: BackOption = None,
    name: NameOption = None,
    *,
    venue_log: LogOption = None,
    yes: YesOption = False,
    accept_stop: StopOption = False,
    no_venue_check: NoVenueOption = False,
    as_json: JsonOption = False,
) -> None:
    """Hurt the running pair on purpose, measure each phase, say PASSED or what was late.

    crash, hang, partition hurt the leader; store cuts one store off from both nodes; switchover
    hands over; plug watches while you pull the leader's plug; history lists what was drilled.

    Exit codes: 0 passed (history: shown) · 1 refused, nothing changed · 2 late or failed ·
    3 interrupted, or no verdict could be kept · 4 mend configuration or secrets · 64 wrong usage.
    """
    settings = open_config(config, profile)
    secrets = open_secrets(settings, node)
    if what is What.HISTORY:
        _history(settings, secrets, as_json=as_json)
        return
    kind = DrillKind(what.value)
    _check_usage(kind, store, venue_log)
    lasting_s = _seconds("--for", lasting, default_lasting_s(settings), at_most_s=LASTING_MAX_S)
    default_back_s = PLUG_BACK_S if kind is DrillKind.PLUG else BACK_S
    back_s = _seconds("--back-within", back_within, default_back_s, at_most_s=24 * 3600.0)
    seen = look(settings, secrets)
    view = build_status(seen, settings, now_wall_ms=wall_ms())
    request = _request(kind, store, seen, view, lasting_s)
    plan = DrillPlan(
        kind=kind,
        target=request.target,
        does_accept_stop=accept_stop,
        here=_here(settings, node),
        running=running_of(seen),
    )
    _check_now(plan, request, settings, view)
    tell = _say_error if as_json else say
    tell(f"drill {kind}: {describe(request)}")
    _confirm(settings, name=name, yes=yes)
    watch = DrillWatch(
        config=settings,
        request=request,
        look=lambda: look(settings, secrets),
        say=tell,
        back_within_s=back_s,
        has_alerts=settings.telegram.chat_id is not None,
        # Where nothing stops there is nothing to accept: then the usual verdict counts.
        does_accept_stop=accept_stop and would_stop(plan, settings, request.holder),
    )
    at_ms = wall_ms()
    _ask(request, settings, secrets)
    if kind is DrillKind.PLUG:
        tell(f"pull the plug of {request.target} now")
    watch.run()
    found = watch.seen(by=who_asks(), at_ms=at_ms)
    if watch.was_interrupted and found.new_epoch is None:
        raise CommandRefused("interrupted before anything was seen", exit_code=CANNOT_TELL)
    if not no_venue_check:
        found = _with_venue(found, settings, secrets, venue_log, since_ms=_since_ms(watch, at_ms))
    result = judge(request, found, settings)
    kept = _keep(result, settings, secrets)
    _tell(result, kept, as_json=as_json)
    if kept or watch.was_interrupted:
        raise typer.Exit(CANNOT_TELL)
    raise typer.Exit(0 if result.outcome is Outcome.PASSED else NOT_PASSED)


def _tell(result: DrillResult, kept: str, *, as_json: bool) -> None:
    if as_json:
        say_json({**result.to_body(), "notes": result.notes, "kept": kept})
        return
    say("")
    say(render_result(result))
    if kept:
        say(f"! {kept}")


def _check_usage(kind: DrillKind, store: str | None, venue_log: Path | None) -> None:
    """Refuse, before anybody is asked or hurt, what cannot be meant."""
    if (kind is DrillKind.STORE) != (store is not None):
        raise CommandRefused(
            "say which store: nodectl drill store NAME"
            if kind is DrillKind.STORE
            else f"drill {kind} takes no {store!r}: it is about the leader",
            exit_code=USAGE,
        )
    if venue_log is not None and not venue_log.is_file():
        raise CommandRefused(
            f"--venue-log {venue_log} is no file",
            mend="name the requests.jsonl in the paper exchange's state directory",
            exit_code=USAGE,
        )


def _check_now(plan: DrillPlan, request: DrillRequest, config: Config, view: StatusView) -> None:
    """Refuse what would stop trading, show nothing, or find nobody who heeds it."""
    refusals = list_refusals(plan, config, view)
    if refusals:
        raise CommandRefused(f"no drill now: {'; '.join(refusals)}", mend="see `nodectl status`")
    _check_tickets(request, config)


def _since_ms(watch: DrillWatch, at_ms: int) -> int:
    """Return about when it happened, by the venue's clock if a node told it."""
    granted_ms = watch.track.times.get("granted_venue_ms")
    return granted_ms if isinstance(granted_ms, int) else at_ms


def _history(config: Config, secrets: Secrets, *, as_json: bool) -> None:
    seen = look(config, secrets)
    refuse_silence(seen, exit_code=CANNOT_TELL)
    results = results_of(merged_control(seen))
    if as_json:
        say_json([result.to_body() for result in reversed(results)])
        return
    say(render_history(results, zone=local_zone()))


def _seconds(option: str, text: str | None, default_s: float, *, at_most_s: float) -> float:
    if text is None:
        return min(default_s, at_most_s)
    try:
        return parse_duration(text, at_least_s=1.0, at_most_s=at_most_s)
    except ValueError as error:
        raise CommandRefused(f"{option} {error}", exit_code=USAGE) from None


def _here(config: Config, node: str | None) -> str | None:
    try:
        return find_node_id(config, node)
    except CommandRefused:
        return None


def _request(
    kind: DrillKind, store: str | None, seen: ClusterPeek, view: StatusView, lasting_s: float
) -> DrillRequest:
    """Return the request; where it cannot work, the rules refuse it afterwards."""
    holder = view.holder or ""
    target = store if store is not None else holder
    tickets = tickets_of(seen)
    if kind is DrillKind.SWITCHOVER:
        target, tickets = (view.spares or ("",))[0], {}
    elif kind is not DrillKind.STORE:
        tickets = {n: t for n, t in tickets.items() if n == holder}
    return DrillRequest(
        drill_id=f"{kind}-{random_secrets.token_hex(4)}",
        kind=kind,
        target=target,
        holder=holder,
        epoch=view.epoch or 0,
        lasting_s=lasting_s if kind in {DrillKind.PARTITION, DrillKind.STORE} else 0.0,
        tickets=tickets if kind is not DrillKind.PLUG else {},
    )


def _check_tickets(request: DrillRequest, config: Config) -> None:
    needed = {
        DrillKind.STORE: tuple(config.nodes),
        DrillKind.SWITCHOVER: (),
        DrillKind.PLUG: (),
    }.get(request.kind, (request.holder,))
    missing = [node for node in needed if node not in request.tickets]
    if missing:
        raise CommandRefused(
            f"{', '.join(missing)} shows no ticket for drills on the member board",
            mend="a node of an older version, or one that has just started: look again in a moment",
        )


def _confirm(config: Config, *, name: str | None, yes: bool) -> None:
    """Ask for the cluster's name. Raises CommandRefused when it is not given."""
    wanted, is_prod = config.cluster.name, config.cluster.profile is Profile.PROD
    if name is None and yes and not is_prod:
        return
    if name is None:
        if not sys.stdin.isatty():
            raise CommandRefused(
                "nobody is here to ask whether the pair may be hurt",
                mend=f"say --name {wanted}" + ("" if is_prod else ", or --yes"),
            )
        name = str(typer.prompt(f"type the cluster's name ({wanted}) to go on"))
    if name.strip() != wanted:
        raise CommandRefused(
            f"{name!r} is not the name of this cluster, nothing was done",
            mend=f"say it again with the name {wanted}",
        )


def _ask(request: DrillRequest, config: Config, secrets: Secrets) -> None:
    """Write the request. Raises CommandRefused when no majority took it."""
    reason = f"nodectl drill {request.kind}"
    decisions: dict[str, dict[str, object]] = {DRILL: request.to_value()}
    if request.kind is DrillKind.SWITCHOVER:
        decisions[SWITCHOVER] = {"to": request.target, "from": request.holder}
    try:
        decide(config, secrets, decisions, reason)
    except CommandRefused as refused:
        # A store that took it may still show it to the nodes while their tickets are good.
        refused.exit_code = CANNOT_TELL
        refused.mend = f"it may still be done within two minutes; {refused.mend}"
        raise


def _with_venue(
    seen: Seen, config: Config, secrets: Secrets, log: Path | None, *, since_ms: int
) -> Seen:
    try:
        if log is not None:
            return replace(seen, venue=check_log(log, config, since_ms=since_ms))
        return replace(seen, venue=check_orders(config, secrets, since_ms=since_ms))
    except KeyboardInterrupt:
        return replace(seen, why_no_venue="interrupted")
    except (*CANNOT_READ, NodeError) as error:
        return replace(seen, why_no_venue=f"{type(error).__name__}: {error}")
    except Exception as error:  # noqa: BLE001  (the drill is done: its verdict must be kept)
        # Only the kind: what a library says may hold the request with its signature.
        return replace(seen, why_no_venue=f"{type(error).__name__} while it was read")


def _keep(result: DrillResult, config: Config, secrets: Secrets) -> str:
    """Write the result to the drill log; return what went wrong, empty when it is kept."""
    board = ControlBoard(
        store_addresses(config, secrets), config.cluster_id, config.lease.request_timeout_ms
    )
    try:
        for _ in range(3):
            value = with_result(board.read().records, result)
            put = board.put(DRILL_LOG, value, who_asks(), wall_ms(), result.summary[:200])
            if put.is_majority:
                return ""
            time.sleep(1.0)
    finally:
        board.close()
    return "the result was not taken by a majority of the stores: it may be missing in the history"


def _say_error(text: str) -> None:
    sys.stderr.write(text + "\n")

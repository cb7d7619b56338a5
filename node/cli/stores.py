"""nodectl stores: the lease stores, and the safe ways to give the cluster another list (R3)."""

import difflib
from typing import Annotated, Any

import typer

from election.durable import write_all
from election.peek import merged_control, merged_members
from node.cli.common import (
    ConfigOption,
    JsonOption,
    NodeOption,
    ProfileOption,
    look,
    open_config,
    open_secrets,
    say,
    say_json,
)
from node.cli.store_move import UNDONE, Move, Report
from node.cli.store_settle import settle_list
from node.config import Config
from node.config_rules import check_config
from node.errors import CommandRefused
from node.growing import growth_of, next_step
from node.latches import STORES, merge_latches
from node.replacing import Change, edit_file, plan_change

app = typer.Typer(add_completion=False, no_args_is_help=True)
WriteOption = Annotated[bool, typer.Option("--write", help="Change this machine's cluster.toml.")]
NameOption = Annotated[
    str | None, typer.Option("--name", help="Name of the new store. Default: the old one's.")
]
WithoutOption = Annotated[
    list[str] | None, typer.Option("--without", help="A node that is off and stays off for now.")
]


@app.command()
def show(
    config: ConfigOption = None,
    node: NodeOption = None,
    profile: ProfileOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Show each store: whether it answers, whom it names, and which store list it knows.

    Exit codes: 0 all answer, have no problem and know this list · 1 one does not · 4 mend
    configuration or secrets.
    """
    settings = open_config(config, profile)
    seen = look(settings, open_secrets(settings, node))
    latches, _ = merge_latches(merged_control(seen), is_first_start_allowed=False)
    record = latches.records.get(STORES)
    rows: list[dict[str, Any]] = [
        {
            "name": s.name,
            "address": s.address_text,
            "error": s.error or "",
            "problems": list(s.problems),
            "server": s.server_version,
            "state": "" if s.record is None else str(s.record.state),
            "names": "" if s.record is None else str(s.record.node_id),
            "is_this_list": s.record is None
            or s.record.config_id == (settings.old_list_id if s.is_needed else settings.config_id),
        }
        for s in seen.stores
    ]
    is_current = record is None or record.value.get("config_id") in {None, *settings.list_ids}
    members = {str(n): m for n, m in merged_members(seen).items()}
    growth = growth_of(settings, latches, members)
    step = "" if growth is None else next_step(growth, tuple(settings.nodes))
    if as_json:
        counts = None if record is None else record.value.get("config_id")
        say_json(
            {
                "config_id": settings.config_id,
                "old_list_id": settings.old_list_id,
                "counts": counts,
                "next_step": step,
                "is_current": is_current,
                "stores": rows,
            }
        )
    else:
        for row in rows:
            nothing = "unreadable" if row["problems"] else "empty"
            state = row["error"] or f"{row['state'] or nothing} {row['names']}".strip()
            other = "" if row["is_this_list"] else " (another store list)"
            say(f"{row['name']:<12} {row['address']:<22} {row['server']:<8} {state}{other}")
            for problem in row["problems"]:
                say(f"! store {row['name']}: {problem}")
        if not is_current and record is not None:
            say(f"! the store list was replaced by {record.by}: this cluster.toml is old")
        if step:
            say(f"! the pair grows from one store to three; next: {step}")
    is_good = (
        is_current
        and not step
        and all(not r["error"] and not r["problems"] and r["is_this_list"] for r in rows)
    )
    raise typer.Exit(0 if is_good else 1)


@app.command()
def replace(
    old: Annotated[str, typer.Argument(help="Name of the store to replace.")],
    address: Annotated[str, typer.Argument(help="Where the new one is: HOST or HOST:PORT.")],
    config: ConfigOption = None,
    node: NodeOption = None,
    profile: ProfileOption = None,
    name: NameOption = None,
    without: WithoutOption = None,
    *,
    write: WriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Replace one lease store, with the cluster paused; say it again after any interruption.

    It tells both nodes (durably) that their store list ends, waits until nobody holds the lease,
    closes a majority of the present stores to the old list, and carries latches, journal and the
    highest epoch over to the new one. Then both boxes get the new cluster.toml and a restart;
    `nodectl resume` waits for both.

    Exit codes: 0 done, change the files and restart · 1 refused, nothing changed · 3 begun, not
    finished (or --write could not write): say it again · 4 mend configuration or secrets.
    """
    settings = open_config(config, profile)
    secrets = open_secrets(settings, node)
    if settings.cluster.grown_from:
        raise CommandRefused(
            "the pair grows from one store to three",
            mend="finish that first: make deploy-witness, or nodectl stores settle",
        )
    try:
        change = plan_change(settings.stores, old, address, name)
    except ValueError as error:
        raise CommandRefused(str(error), mend="see `nodectl stores show`") from None
    _check_new_list(settings, change)
    report = Report(change=change)
    move = Move(settings, secrets, change, report, tuple(without or ()))
    move.run()
    _edit(settings, report, may_write=write)
    if as_json:
        say_json(_to_json(report))
    else:
        _tell(report)
    if write and not report.is_written:
        raise typer.Exit(UNDONE)


@app.command()
def settle(
    config: ConfigOption = None,
    node: NodeOption = None,
    profile: ProfileOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Take the next step of a pair that grows from one store to three, while it trades.

    `make deploy-witness` runs it twice: once when both nodes use the joint list (grown_from in
    cluster.toml), to say durably that the new list counts; and once when both use the new list, to
    move the old store's record to it. Say it again after any interruption.

    Exit codes: 0 the pair has three stores · 1 refused, nothing changed · 3 it says what comes
    next; say it again then · 4 mend configuration or secrets.
    """
    settings = open_config(config, profile)
    done = settle_list(settings, open_secrets(settings, node))
    if as_json:
        say_json(
            {
                "told": done.told,
                "moved": done.moved,
                "problems": done.problems,
                "next_step": done.next_step,
            }
        )
    else:
        say(f"told that the new list counts: {', '.join(done.told)}")
        if done.moved:
            say(f"under the new list: {', '.join(done.moved)}")
        for problem in done.problems:
            say(f"! {problem}")
        say(f"next: {done.next_step}" if done.next_step else "the pair has three stores")
    if done.next_step:
        raise typer.Exit(UNDONE)


def _check_new_list(config: Config, change: Change) -> None:
    problems = check_config(config.model_copy(update={"stores": change.new}))
    if problems:
        said = "\n".join(f"  {problem.render()}" for problem in problems)
        raise CommandRefused(f"the new store list is not possible:\n{said}", mend="mend that first")


# --- the file, the words ----------------------------------------------------------------------


def _edit(config: Config, report: Report, *, may_write: bool) -> None:
    path = config.path
    if path is None:
        return
    try:
        text = path.read_text(encoding="utf-8")
        edited = edit_file(text, report.change)
    except (OSError, ValueError) as error:
        report.problems.append(f"{path}: {error}; change it by hand")
        return
    report.diff = "".join(
        difflib.unified_diff(
            text.splitlines(keepends=True),
            edited.splitlines(keepends=True),
            str(path),
            f"{path} (new)",
        )
    )
    if may_write:
        try:
            write_all({path: (edited, 0o644)})
        except OSError as error:
            report.problems.append(f"{path} could not be written: {error.strerror or error}")
            return
        report.is_written = True


def _tell(report: Report) -> None:
    replaced, replacement = report.change.removed[0], report.change.added[0]
    say(
        f"{replaced.name} is replaced by {replacement.name} at "
        f"{replacement.host}:{replacement.port}. Told: {', '.join(report.told)}. "
        f"Closed to the old list: {', '.join(report.moved)}. Ready: {', '.join(report.ready)}."
    )
    for problem in report.problems:
        say(f"! {problem} (say this command again when that is mended)")
    say("\n" + report.diff.rstrip("\n") + "\n")
    first = "the other box" if report.is_written else "BOTH boxes"
    say(
        f"next: 1. make this change in cluster.toml on {first}\n"
        "      2. if the store's name changed, its password's name in secrets/ too\n"
        "      3. restart the node on both boxes\n"
        "      4. nodectl status; then nodectl resume"
    )


def _to_json(report: Report) -> dict[str, Any]:
    return {
        "old": report.change.old_id,
        "new": report.change.new_id,
        "told": report.told,
        "moved": report.moved,
        "ready": report.ready,
        "problems": report.problems,
        "diff": report.diff,
        "is_written": report.is_written,
    }

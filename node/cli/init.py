"""nodectl init: about ten questions, then a folder that can run."""

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from exchange.venues import ROWS
from node.cli.common import DEFAULT_CONFIG, say
from node.config import Profile, Topology, topology_sentence, topology_warnings
from node.errors import InitRefused
from node.init import GivenSecrets, Written, load_answers, write_cluster
from node.init_answers import Answers
from node.init_text import KEY_RIGHTS
from node.secrets import is_deadman_url

app = typer.Typer(add_completion=False)
TRIES = 3

FolderOption = Annotated[Path, typer.Option("--directory", "-d", help="Where to write.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing, take the defaults.")]
AnswersOption = Annotated[Path | None, typer.Option("--answers", help="TOML file of answers.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite what is there.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="An answer, name=value; repeatable, not asked then."),
]


@app.command()
def init(
    directory: FolderOption = Path(),
    answers_file: AnswersOption = None,
    given: SetOption = None,
    *,
    yes: YesOption = False,
    force: ForceOption = False,
) -> None:
    """Write cluster.toml, one secrets file for each box (mode 0600) and the first-start marker.

    Exit codes: 0 written · 4 the answers do not fit together, or something is there already.
    """
    start = load_answers(answers_file) if answers_file is not None else Answers()
    start = _with(start, dict(_pair(text) for text in given or []))
    secrets = GivenSecrets()
    if not yes and answers_file is None:
        start = _ask(start)
        secrets = _ask_secrets(start)
    elif start.missing_hosts() and answers_file is None and not given:
        # --yes alone knows no addresses: the one topology that needs none is this machine's
        start = _with(start, {"topology": Topology.SINGLE_HOST})
    written = write_cluster(directory, start, secrets, may_overwrite=force)
    _report(written)


def _with(answers: Answers, changes: dict[str, Any]) -> Answers:
    unknown = sorted(set(changes) - set(Answers.model_fields))
    if unknown:
        known = ", ".join(Answers.model_fields)
        raise InitRefused(f"no such answer: {', '.join(unknown)}\n    → answers are: {known}")
    try:
        return Answers.model_validate({**answers.model_dump(exclude_unset=True), **changes})
    except ValueError as error:
        names = ", ".join(changes)
        raise InitRefused(f"{names}: {_reason(error)}") from None


def _reason(error: ValueError) -> str:
    """Return the first reason of a validation error, without the value."""
    errors = getattr(error, "errors", None)
    return str(errors(include_input=False)[0]["msg"]) if errors is not None else str(error)


def _pair(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not separator:
        raise InitRefused(f"--set was {text!r}\n    → say name=value")
    listed = {"symbols", "allowed_user_ids", "store_ports"}
    is_list = name.strip() in listed
    return name.strip(), _split(value) if is_list else value.strip()


# --- asking ------------------------------------------------------------------------------------


def _ask(answers: Answers) -> Answers:
    """Ask one thing after the other; each answer is checked at once.

    What `--set` said already is not asked. What can be worked out from another answer, or has a
    default that suits nearly everybody, is left to `--set` (and to cluster.toml afterwards).
    """
    say("About ten questions; Enter takes what stands in [brackets].\n")
    answers = _ask_one(
        answers, "profile", "dev (try here), test (paper money) or prod (real money)"
    )
    answers = _ask_one(
        answers, "topology", "two-boxes, three-stores (with a witness) or single-host"
    )
    answers = _ask_several(
        answers,
        ("preferred_node", "standby_node"),
        "Names of the two boxes, the one that should trade first",
    )
    missing = answers.missing_hosts()
    if missing:
        names = {
            "preferred_host": answers.preferred_node,
            "standby_host": answers.standby_node,
            "witness_host": "the witness",
        }
        whose = ", ".join(names[name] for name in missing)
        answers = _ask_several(answers, missing, f"Fixed LAN address of {whose}")
    if len(ROWS) > 1:
        answers = _ask_one(answers, "exchange", f"Exchange: {', '.join(ROWS)}")
    if answers.profile is not Profile.PROD and not answers.is_sandbox:
        on = "the sandbox" if answers.topology is Topology.SINGLE_HOST else answers.standby_node
        answers = _ask_one(answers, "base_url", f"Address of a paper exchange (empty: {on})")
    answers = _ask_one(answers, "symbols", "Markets, with commas")
    answers = _ask_one(answers, "strategy", "Strategy: hold, trend, grid or your .py file")
    answers = _ask_one(answers, "max_order_value", "Largest value of one order, quote currency")
    say(
        f"  so at most {answers.position_value():f} in one market, and no new risk after losing "
        f"{answers.loss_limit():f} in a day (both can be changed in cluster.toml)"
    )
    if answers.profile is Profile.PROD:
        answers = _ask_one(
            answers, "chat_id", "Telegram chat id (`nodectl telegram test` finds it)"
        )
        if answers.chat_id is None and not answers.accept_no_alerts:
            nobody = typer.confirm("prod without alerts: is that what you want?", default=False)
            answers = _with(answers, {"accept_no_alerts": nobody})
    return answers


def _ask_one(answers: Answers, name: str, question: str) -> Answers:
    if name in answers.model_fields_set:
        return answers
    for _ in range(TRIES):
        current = getattr(answers, name)
        shown = ",".join(str(v) for v in current) if isinstance(current, tuple) else current
        text = typer.prompt(question, default="" if shown is None else str(shown))
        value: Any = text.strip()
        if isinstance(current, tuple):
            value = _split(value)
        elif value == "" and current is None:
            value = None
        try:
            return _with(answers, {name: value})
        except InitRefused as refused:
            say(str(refused))
    raise InitRefused(f"{name}: no usable answer in {TRIES} tries")


def _ask_several(answers: Answers, names: tuple[str, ...], question: str) -> Answers:
    """Ask for what belongs together in one line, with commas."""
    names = tuple(name for name in names if name not in answers.model_fields_set)
    if not names:
        return answers
    if len(names) > 1:
        question += ", with a comma between"
    for _ in range(TRIES):
        shown = ",".join(str(getattr(answers, name)) for name in names).strip(",")
        parts = _split(typer.prompt(question, default=shown or None))
        if len(parts) != len(names):
            say(f"{len(names)} wanted, {len(parts)} given")
            continue
        try:
            return _with(answers, dict(zip(names, parts, strict=True)))
        except InitRefused as refused:
            say(str(refused))
    raise InitRefused(f"{', '.join(names)}: no usable answer in {TRIES} tries")


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _ask_secrets(answers: Answers) -> GivenSecrets:
    if answers.is_own_paper:
        say("\nThe keys of the paper exchange are made up; there is nothing to fetch.\n")
    else:
        say(f"\n{KEY_RIGHTS}\nLeave a key empty to put it into the file later.\n")
    keys: dict[str, tuple[str, str]] = {}
    for node_id in () if answers.is_own_paper else answers.node_ids:
        key = typer.prompt(f"API key of {node_id}", default="", hide_input=True, show_default=False)
        if not key:
            continue
        secret = typer.prompt(f"API secret of {node_id}", hide_input=True)
        keys[node_id] = (key, secret)
    token = typer.prompt(
        "Telegram bot token (from @BotFather)", default="", hide_input=True, show_default=False
    )
    deadman = _ask_deadman()
    if len(set(keys.values())) < len(keys):
        raise InitRefused("both boxes were given the same API key\n    → make one for each box")
    return GivenSecrets(api_keys=keys, token=token or None, deadman=deadman)


def _ask_deadman() -> str | None:
    for _ in range(TRIES):
        url = typer.prompt(
            "Dead-man URL of healthchecks.io or Uptime Kuma (silence is an alarm; may stay empty)",
            default="",
            hide_input=True,
            show_default=False,
        ).strip()
        if not url or is_deadman_url(url):
            return url or None
        say("that is no address such as https://hc-ping.com/<uuid>")
    raise InitRefused(f"dead-man URL: no usable answer in {TRIES} tries")


# --- reporting -----------------------------------------------------------------------------------


def _report(written: Written) -> None:
    config = written.config
    for path in written.files:
        say(f"wrote {path}")
    say(f"\n{topology_sentence(config)}")
    for warning in topology_warnings(config):
        rest = warning.removeprefix(topology_sentence(config)).strip()
        if rest:
            say(f"! {rest}")
    say(f"\n{KEY_RIGHTS}\n")
    for path in written.to_fill_in:
        say(f"to do: put that box's API key into {path}")
    say("note:  [peer] key in secrets/ is the same for both boxes: they sign with it to each other")
    is_single = config.cluster.topology is Topology.SINGLE_HOST
    if is_single:
        say("to do: if the store wants a password, put it there too, under [stores.default]")
    # as it is typed where init was: the folder is told unless one stands in it
    file = written.files[0]
    told = "" if file == DEFAULT_CONFIG else f" --config {shlex.quote(str(file))}"
    folder = "" if not told else f" CLUSTER={shlex.quote(str(file.parent))}"
    if config.telegram.chat_id is None:
        node = f" --node {config.cluster.preferred_node}"
        say(f"to do: nodectl telegram test{told}{node} (alerts go to the console until then)")
    say(f"next:  nodectl config check{told}")
    if is_single:
        say(f"       nodectl run{told} --node ... for each node")
        return
    say(f"       make deploy-standby{folder}, make deploy-primary{folder}")
    say("       or without make: `requirepass` of each store (the password under [stores.default]")
    say("       in secrets/); cluster.toml, new-cluster, its own secrets file onto the other box")

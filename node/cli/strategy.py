"""nodectl strategy: write a commented example, try a file on candles, accept what a node runs."""

from pathlib import Path
from typing import Annotated

import typer

from node.cli.common import ConfigOption, NodeOption, ProfileOption, say
from node.errors import CommandRefused

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Write and try strategies.")

NameArgument = Annotated[str, typer.Argument(help="Name of the strategy and of its file.")]
FolderOption = Annotated[Path, typer.Option("--directory", "-d", help="Folder of the file.")]
FileArgument = Annotated[str, typer.Argument(help="A .py file, or hold, trend, grid.")]
CandlesOption = Annotated[
    Path | None,
    typer.Option("--candles", help="CSV: timestamp_ms,open,high,low,close,volume."),
]
SymbolOption = Annotated[str | None, typer.Option("--symbol", help="Market, e.g. BTC/USDT.")]
ParameterOption = Annotated[
    list[str] | None, typer.Option("--set", help="name=value, may be repeated.")
]


@app.command()
def new(name: NameArgument, directory: FolderOption = Path()) -> None:
    """Write a commented example that runs, as NAME.py.

    Exit codes: 0 written · 1 refused (the file is there already, the name cannot be used).
    """
    from strategy.errors import StrategyRefused  # noqa: PLC0415  (imported only when asked for)
    from strategy.template import new_strategy  # noqa: PLC0415

    try:
        path = new_strategy(name, directory)
    except StrategyRefused as refused:
        raise CommandRefused("\n".join(str(p) for p in refused.problems)) from None
    say(f"wrote {path}; try it with: nodectl strategy check {path}")


@app.command()
def check(
    file: FileArgument,
    candles: CandlesOption = None,
    symbol: SymbolOption = None,
    parameter: ParameterOption = None,
) -> None:
    """Run a strategy on candles: decisions, orders, reasons, fees, result.

    Exit codes: 0 a node would run it · 1 problems, each as `file:line: what, use this instead`.
    """
    from strategy.check import check_strategy  # noqa: PLC0415  (imported only when asked for)
    from strategy.render import render_report  # noqa: PLC0415

    parameters: dict[str, object] = {}
    for text in parameter or []:
        key, separator, value = text.partition("=")
        if not separator:
            raise CommandRefused(f"--set was {text!r}", mend="say name=value")
        parameters[key.strip()] = _value(value.strip())
    source: str | Path = Path(file) if file.endswith(".py") else file
    report = check_strategy(source, candles, parameters=parameters or None, symbol=symbol)
    say(render_report(report))
    raise typer.Exit(0 if report.is_ok else 1)


@app.command()
def accept(
    whose: Annotated[str, typer.Argument(help="The node whose strategy and limits are meant.")],
    config: ConfigOption = None,
    node: NodeOption = None,
    profile: ProfileOption = None,
) -> None:
    """Accept the strategy and limits that a node runs, before it leads; lifts nothing else.

    The deployment says it before a hand-over, so that the next leader goes on deciding.

    Exit codes: 0 accepted, or the other nodes run the same · 1 refused: that node is not heard, or
    no majority of the stores took it · 4 mend configuration or secrets.
    """
    from node.cli.common import look, open_config, open_secrets  # noqa: PLC0415
    from node.cli.decide import decide, living, records_of  # noqa: PLC0415  (not for `check`)
    from node.latches import ACCEPT  # noqa: PLC0415

    settings = open_config(config, profile)
    secrets = open_secrets(settings, node)
    seen = look(settings, secrets)
    marks = {n: str(m.body.get("fingerprint") or "") for n, m in living(seen).items()}
    if not marks.get(whose):
        raise CommandRefused(
            f"{whose} is not heard, or does not say what it runs", mend="see `nodectl status`"
        )
    mark = marks[whose]
    before = records_of(seen).get(ACCEPT)
    is_known = before is not None and before.value.get("fingerprint") == mark
    if is_known or set(marks.values()) == {mark}:
        say(f"nothing to accept: {mark} is what the nodes run, or accepted already")
        return
    decide(settings, secrets, {ACCEPT: {"fingerprint": mark}}, f"what {whose} runs")
    say(f"accepted {mark}, the strategy and limits of {whose}")


def _value(text: str) -> object:
    """Read a value as TOML does in cluster.toml, so that both places take the same."""
    import tomllib  # noqa: PLC0415  (imported only when asked for)
    from decimal import Decimal  # noqa: PLC0415

    try:
        return tomllib.loads(f"value = {text}", parse_float=Decimal)["value"]
    except tomllib.TOMLDecodeError:
        return text

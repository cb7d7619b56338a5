"""The command line as Typer has it: all verbs, each imported when it is asked for (lazy.py)."""

import typer

from node.cli.lazy import LazyGroup

app = typer.Typer(
    cls=LazyGroup,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_show_locals=False,  # locals of a traceback may hold secrets
)


@app.callback()
def root() -> None:
    """Two small boxes that run one trading bot as one: one trades, the other is ready.

    The configuration is --config, $HOTSPARE_CONFIG or ./cluster.toml.

    Exit codes: 0 done · 1 could not be done · 4 mend configuration or secrets · 64 wrong usage ·
    70 a bug of this program (the traceback says where).
    Verbs with more codes (such as `status`) list them in their own --help.
    """

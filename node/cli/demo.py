"""nodectl demo: a real failover on this machine; its options are its own (node/demo/main.py)."""

import typer

app = typer.Typer(add_completion=False)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def demo(context: typer.Context) -> None:
    """Show a real failover on this machine in one command; see `nodectl demo --help`.

    Exit codes: 0 the checker holds · 1 it does not, or the demo could not be played.
    """
    from node.demo.main import main  # noqa: PLC0415  (starts servers: only when asked for)

    raise typer.Exit(main(context.args))

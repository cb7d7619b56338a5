"""nodectl version."""

import platform

import typer

from node.cli.common import JsonOption, say, say_json
from node.version import program_version

app = typer.Typer(add_completion=False)


@app.command()
def version(*, as_json: JsonOption = False) -> None:
    """Print the version of this program, of Python and of the system.

    Exit codes: 0.
    """
    facts = {
        "hotspare": program_version(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
    if as_json:
        say_json(facts)
    else:
        say(f"hotspare {facts['hotspare']} (Python {facts['python']}, {facts['system']})")

"""nodectl: the one command of this project. The verbs are in their own files (lazy.py).

A stop hook is the only caller that counts milliseconds: what it says is understood here, before
Typer is imported (0.15 s on a PC, most of a second on a Nano), and where an environment in which
Typer cannot be imported does no harm.
"""

import os
import sys
from pathlib import Path
from typing import Any

STATE_DIR_OPTION = "--state-dir"
AFTER_CRASH = "--after-crash"
SOFTWARE = 70  # EX_SOFTWARE; 1 would read as "trading without a spare" in `nodectl status`
HOOK_WORDS = 4  # release --after-crash --state-dir DIRECTORY
FAILED_START = "tell-failed-start"
ALARM_WORDS = 3  # tell-failed-start --state-dir DIRECTORY


def main() -> None:
    """Run the command line."""
    directory = hook_directory(sys.argv[1:])
    if directory is not None:
        from node.release_hook import run_hook  # noqa: PLC0415  (only when asked for)

        sys.exit(run_hook(directory, say=print))
    directory = alarm_directory(sys.argv[1:])
    if directory is not None:
        from node.failed_start import run_alarm, say_out  # noqa: PLC0415

        sys.exit(run_alarm(directory, os.environ, say=say_out))
    try:
        from node.cli.app import app  # noqa: PLC0415

        app(prog_name="nodectl")
    except Exception as error:  # noqa: BLE001  (the last place: Python's own 1 has other meanings)
        sys.excepthook(type(error), error, error.__traceback__)
        if sys.argv[1:2] == ["run"]:
            from node.starts_file import leave_words  # noqa: PLC0415

            leave_words(os.environ, f"{type(error).__name__}: {error}")
        sys.exit(SOFTWARE)


def hook_directory(words: list[str]) -> Path | None:
    """Return the state directory of `release --after-crash --state-dir DIR`, None for the rest."""
    if len(words) != HOOK_WORDS or words[0] != "release" or AFTER_CRASH not in words:
        return None
    rest = [w for w in words[1:] if w != AFTER_CRASH]
    if rest[:1] != [STATE_DIR_OPTION] or rest[-1].startswith("-"):
        return None
    return Path(rest[-1])


def alarm_directory(words: list[str]) -> Path | None:
    """Return the state directory of `tell-failed-start --state-dir DIR`, None for the rest."""
    is_alarm = len(words) == ALARM_WORDS and words[:2] == [FAILED_START, STATE_DIR_OPTION]
    return Path(words[2]) if is_alarm and not words[2].startswith("-") else None


def __getattr__(name: str) -> Any:
    """Give `app` to whoever imports it from here."""
    if name == "app":
        from node.cli.app import app  # noqa: PLC0415

        return app
    raise AttributeError(name)


if __name__ == "__main__":
    main()

"""Shell scripts that run on a box: POSIX sh, because a Nano's Python is of no use."""

from pathlib import Path


def script(name: str) -> str:
    """Return the text of a script by its file name."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")

"""Where a passphrase comes from: a file descriptor, the environment, a prompt; never a word."""

import getpass
import os
import sys
from collections.abc import Mapping
from typing import Annotated, Final

import typer

from node.errors import CommandRefused

VARIABLE: Final = "HOTSPARE_BACKUP_PASSPHRASE"
_BYTES_MAX: Final = 4096

PassphraseFdOption = Annotated[
    int | None,
    typer.Option("--passphrase-fd", help="Read the passphrase from this file descriptor."),
]


def read_passphrase(fd: int | None, environ: Mapping[str, str], *, is_new: bool) -> str:
    """Return the passphrase; one that is typed anew is asked for twice.

    Raises:
        CommandRefused: nobody gives one, or the two differ.
    """
    if fd is not None:
        try:
            given = os.read(fd, _BYTES_MAX) if fd else sys.stdin.buffer.readline(_BYTES_MAX)
            return given.decode().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandRefused(
                f"no passphrase at file descriptor {fd}: {error}",
                mend=f"open it in the same line, as in: --passphrase-fd {fd} {fd}<FILE",
            ) from None
    if VARIABLE in environ:
        return environ[VARIABLE]
    if not sys.stdin.isatty():
        raise CommandRefused(
            "nobody gives a passphrase for the secrets",
            mend=f"say --passphrase-fd N, set {VARIABLE}, or run it at a terminal",
        )
    typed = getpass.getpass("passphrase for the secrets: ")
    if is_new and getpass.getpass("once more: ") != typed:
        raise CommandRefused("the two differ", mend="run it again")
    return typed

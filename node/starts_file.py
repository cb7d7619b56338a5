"""The book of starts on disk, and the last words of a process that did not get far.

Rules of this file: standard library and `election.durable` only, because the environment may be
what is broken; nothing here raises. The book lies in the state directory; when that cannot be
written (which may be why the node does not start) it lies in the supervisor's runtime directory,
which lives as long as the box is up. Calls block.
"""

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from election.durable import write_all
from election.grant_note import read_boot_id
from node.starts import Chat, StartBook, note_ready, parse_book, render_book

FILE_NAME = "starts.json"
WORDS_FILE = "last-words.json"
WORDS_BYTES_MAX = 20_000


def run_id_of(environ: Mapping[str, str]) -> str:
    """Return what names this run of the unit: the same in the process and in its stop hook.

    Without systemd it is the boot: then a stop hook cannot tell two runs apart, and counts none
    after the first that was ready.
    """
    return environ.get("INVOCATION_ID") or read_boot_id()


def folders(state_dir: Path, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return where the book may lie, best first."""
    spare = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return (state_dir, Path(spare)) if spare else (state_dir,)


def read_starts(state_dir: Path, environ: Mapping[str, str]) -> StartBook:
    """Return the newest book; an empty one when there is none or none can be read."""
    books = [StartBook()]
    for folder in folders(state_dir, environ):
        with contextlib.suppress(OSError, ValueError):
            books.append(parse_book((folder / FILE_NAME).read_text("utf-8")))
    return max(books, key=lambda book: book.serial)


def write_starts(state_dir: Path, environ: Mapping[str, str], book: StartBook) -> bool:
    """Keep the book in the first place that takes it; False when none does."""
    for folder in folders(state_dir, environ):
        with contextlib.suppress(OSError):
            write_all({folder / FILE_NAME: (render_book(book), 0o600)})
            return True
    return False


def keep_ready(state_dir: Path, environ: Mapping[str, str], chat: Chat | None) -> None:
    """Note that this start succeeded, and which chat is good."""
    before = read_starts(state_dir, environ)
    write_starts(state_dir, environ, note_ready(before, run_id=run_id_of(environ), chat=chat))


def leave_words(environ: Mapping[str, str], text: str) -> None:
    """Leave what a person would read in the log, for the stop hook; secrets are out already.

    Only for a unit that says where its node's state is (the deployment's does): a process that
    cannot read its configuration knows no other place.
    """
    state, node = environ.get("HOTSPARE__STATE_DIR", ""), environ.get("HOTSPARE_NODE", "")
    if not Path(state).is_absolute() or not node or not environ.get("INVOCATION_ID"):
        return
    body = json.dumps({"run_id": run_id_of(environ), "text": text[-WORDS_BYTES_MAX:]})
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    for folder in folders(Path(state) / node, environ):
        with contextlib.suppress(OSError):
            with os.fdopen(os.open(folder / WORDS_FILE, flags, 0o600), "w") as file:
                file.write(body)
            return


def read_words(state_dir: Path, environ: Mapping[str, str]) -> str:
    """Return the last words of this very run, empty when it left none."""
    for folder in folders(state_dir, environ):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            left = json.loads((folder / WORDS_FILE).read_text("utf-8"))
            if left["run_id"] == run_id_of(environ):
                return str(left["text"])
    return ""

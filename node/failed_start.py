"""Tells a person that the node cannot start: `nodectl tell-failed-start`, a second stop hook.

Rules of this file: it runs after the release of the lease and in a process of its own, so that a
broken part of the node stops neither; standard library only; it never raises, and ends within
`SEND_S` and a little, whatever Telegram does; the token is in no argument, no error and no log.
What it cannot tell it says to journald at CRIT, which is written to the disk at once.
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from election.grant_note import read_boot_id
from node.alarm_address import Address, find_address
from node.redact import redact
from node.starts import Ended, in_words, is_due, note_end, note_try, render_message
from node.starts_file import read_starts, read_words, run_id_of, write_starts

if TYPE_CHECKING:
    from node.bot_post import Sent

# All attempts together. A unit is started again only when its stop hooks have ended.
SEND_S = 8.0
LOG_TAIL_BYTES = 8192
CRIT, NOTICE = "<2>", "<5>"  # sd-daemon(3)

Say = Callable[[str], None]


def run_alarm(state_dir: Path, environ: Mapping[str, str], *, say: Say) -> int:
    """Count the end of a run, and tell a person when starts fail again and again; return 0."""
    try:
        _run(state_dir, environ, say)
    except Exception as error:  # noqa: BLE001  (a supervisor must never stumble over its hook)
        say(f"{CRIT}hotspare: failed starts cannot be told: {type(error).__name__}")
    return 0


def _run(state_dir: Path, environ: Mapping[str, str], say: Say) -> None:
    ended = _ended(environ)
    before = read_starts(state_dir, environ)
    book = note_end(before, ended)
    if book == before:
        return
    is_kept = write_starts(state_dir, environ, book)
    address = find_address(environ, state_dir.name, book.chat)
    words = redact(last_words(state_dir, environ), address.secret_values)
    if not is_kept:
        say(f"{CRIT}hotspare: {address.box} does not start, it {in_words(ended)}, and that cannot "
            f"be counted: neither {state_dir} nor a runtime directory can be written")  # fmt: skip
        return
    if not is_due(book, ended):
        return
    message = render_message(
        book,
        ended,
        box=address.box,
        cluster=address.cluster,
        words=words,
        since=_instant(book.since_wall_ms),
    )
    sent = _tell(address, redact(message, address.secret_values))
    tried = note_try(book, ended, was_told=not sent.error, wait_s=sent.wait_s)
    write_starts(state_dir, environ, tried)
    if sent.error:
        one_line = " | ".join(message.splitlines())
        say(f"{CRIT}hotspare: not told by message ({sent.error}): {one_line}")
    else:
        say(f"{NOTICE}hotspare: a message says that {address.box} cannot start; nothing more is "
            "told until it has")  # fmt: skip


def last_words(state_dir: Path, environ: Mapping[str, str]) -> str:
    """Return what the process said last: its own words, else the newest line of its log."""
    words = read_words(state_dir, environ)
    if words:
        return words
    try:
        with (state_dir / "log" / "node.jsonl").open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - LOG_TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
        line = json.loads(lines[-1])
        told = {k: v for k, v in line.items() if k not in {"ts", "event", "level", "stream"}}
        return f"{line['ts']} {line['event']} {json.dumps(told, ensure_ascii=False)}"
    except (OSError, ValueError, KeyError, IndexError, AttributeError):
        return ""


def _ended(environ: Mapping[str, str]) -> Ended:
    return Ended(
        result=environ.get("SERVICE_RESULT", ""),
        code=environ.get("EXIT_CODE", ""),
        status=environ.get("EXIT_STATUS", ""),
        run_id=run_id_of(environ),
        boot_id=read_boot_id(),
        at_boottime_s=time.clock_gettime(time.CLOCK_BOOTTIME),
        at_wall_ms=time.time_ns() // 1_000_000,
    )


def _tell(address: Address, text: str) -> "Sent":
    """Try each chat in turn, in a thread that nobody waits for longer than `SEND_S`."""
    # HTTP and TLS take half a second to import on a slow board, and most ends need neither.
    from node.bot_post import Sent, send  # noqa: PLC0415

    if not address.chats:
        return Sent(error="no chat is configured or remembered")
    if not address.token:
        return Sent(error="the bot's token cannot be read")
    found: list[Sent] = []

    def work() -> None:
        for chat in address.chats:
            found.append(send(chat, address.token, text))
            if not found[-1].error:
                return

    thread = threading.Thread(target=work, name="failed-start", daemon=True)
    thread.start()
    thread.join(SEND_S)
    # The first refusal is the one of the chat that is configured now.
    good = [sent for sent in found if not sent.error]
    return good[0] if good else (found[0] if found else Sent(error="no answer in time"))


def _instant(wall_ms: int) -> str:
    return datetime.fromtimestamp(wall_ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def say_out(text: str) -> None:
    """Print one line with its priority, which journald reads at its beginning."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()

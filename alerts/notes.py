"""Names of what this package reports to its `Observer`, with their level and meaning.

Levels follow the house: error = someone must act, warning = may become one, info = what
happened, debug = detail. Fields never hold a secret; `reason` and `error` are for people.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How loud a note is."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    DEBUG = "debug"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Level and meaning of one name."""

    level: Level
    meaning: str


NOTES: Mapping[str, Note] = {
    "alert.queued": Note(level=Level.INFO, meaning="an event is durable and will be told"),
    "alert.known": Note(level=Level.DEBUG, meaning="an event was told or queued before"),
    "alert.delivered": Note(level=Level.INFO, meaning="the channel confirmed a message"),
    "alert.told_elsewhere": Note(level=Level.INFO, meaning="the other node told this event"),
    "alert.not_sent": Note(level=Level.WARNING, meaning="an attempt provably did not leave"),
    "alert.answer_lost": Note(
        level=Level.WARNING, meaning="a message was perhaps delivered; it is told again, marked"
    ),
    "alert.told_to_wait": Note(level=Level.WARNING, meaning="the channel named a wait"),
    "alert.channel_gone": Note(
        level=Level.ERROR, meaning="the channel refuses everything until a person mends it"
    ),
    "alert.address_moved": Note(level=Level.WARNING, meaning="the chat has a new id"),
    "alert.html_refused": Note(level=Level.WARNING, meaning="sent again as plain text"),
    "alert.text_refused": Note(level=Level.ERROR, meaning="a text was refused in any form"),
    "alert.sender_failed": Note(level=Level.ERROR, meaning="a bug in the sender; it goes on"),
    "alert.claim_failed": Note(
        level=Level.WARNING, meaning="the nodes' shared memory is away; told all the same"
    ),
    "alert.outbox_damaged": Note(level=Level.WARNING, meaning="the outbox file was damaged"),
    "alert.outbox_in_memory": Note(
        level=Level.ERROR, meaning="the disk takes no alerts; a restart would lose them"
    ),
    "command.listening": Note(level=Level.INFO, meaning="commands are taken from phones"),
    "command.received": Note(level=Level.INFO, meaning="somebody wrote to the bot"),
    "command.done": Note(level=Level.INFO, meaning="a command was carried out"),
    "command.failed": Note(level=Level.ERROR, meaning="a command raised in the node"),
    "command.timed_out": Note(level=Level.ERROR, meaning="a command did not end in time"),
    "command.answer_failed": Note(level=Level.WARNING, meaning="an answer could not be sent"),
    "command.conflict": Note(
        level=Level.WARNING, meaning="another process polls with this token: a second leader?"
    ),
    "command.poll_failed": Note(level=Level.WARNING, meaning="Telegram could not be asked"),
    "command.poller_failed": Note(level=Level.ERROR, meaning="a bug in the poller; it goes on"),
}

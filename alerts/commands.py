"""Commands from a phone: what was asked, may this person ask it, was it confirmed. Pure.

Rules of this file:
1. Only user ids on the list are served; an empty list serves nobody. Others get one short
   refusal a person, and every attempt is reported to the caller for the log.
2. An update is handled once: its id is remembered. Ids are compared for equality, never by
   order, because Telegram may begin anew at a random id after a quiet week.
   Source: core.telegram.org/bots/api, `Update.update_id`.
3. What changes something is refused when it was sent before the takeover: it was meant for
   another leader, perhaps in another situation. Harmless questions are always answered.
4. What starts trading again needs a code that was given out less than `CONFIRM_S` ago to the
   same person in the same chat. Three wrong codes end it.

`now_s` is monotonic; `sent_wall_s` is Telegram's clock. Does not cover polling (poller.py).
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

CONFIRM_S = 60.0
"""Long enough to read and type, too short to be found later in an unlocked phone."""

CODE_TRIES_MAX = 3
"""With four digits a guesser has 3 in 10 000."""

IDS_MAX = 200
"""Update ids remembered: one getUpdates answer holds 100 at most, so two of them."""

STRANGERS_MAX = 100
"""People refused by name once; beyond this bound they are refused in silence."""


class CommandName(StrEnum):
    """What can be asked by phone."""

    STATUS = "status"
    PAUSE = "pause"
    RESUME = "resume"
    HELP = "help"


CHANGES_SOMETHING = frozenset({CommandName.PAUSE, CommandName.RESUME})
NEEDS_CODE = frozenset({CommandName.RESUME})

HELP: Mapping[CommandName, str] = {
    CommandName.STATUS: "who trades, is there a spare, positions, today's result",
    CommandName.PAUSE: "send nothing new, on all nodes, until you resume; resting orders stay",
    CommandName.RESUME: "trade again (asks for a code first)",
    CommandName.HELP: "this list",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """One text message as Telegram handed it over."""

    update_id: int
    chat_id: int
    user_id: int
    user_name: str
    text: str
    sent_wall_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command that may be carried out. `by` names the person for the records."""

    name: CommandName
    update_id: int
    chat_id: int
    user_id: int
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Carry out the command and answer with its result."""

    command: Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Answer with this text; nothing is carried out."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignore:
    """Say nothing; `reason` is for the log."""

    reason: str


Decision = Run | Answer | Ignore


@dataclass(slots=True, kw_only=True)
class _Asked:
    """A command that waits for its code."""

    name: CommandName
    code: str
    until_s: float
    tries: int = 0


_COMMAND = re.compile(
    r"^/(?P<name>[A-Za-z0-9_]{1,32})(?:@(?P<bot>[A-Za-z0-9_]{1,64}))?(?:\s+(?P<rest>.*))?$",
    re.DOTALL,
)


class CommandDesk:
    """Decides what becomes of each message; remembers confirmations and handled ids.

    Args:
        allowed_user_ids: Telegram user ids; never names, which their owners can change.
        bot_name: user name of the bot without @; a group command for another bot is ignored.
        handled_update_ids: ids already handled, from the nodes' shared memory.
    """

    def __init__(
        self,
        *,
        allowed_user_ids: Collection[int],
        bot_name: str = "",
        handled_update_ids: Collection[int] = (),
    ) -> None:
        self._allowed = frozenset(allowed_user_ids)
        self._bot_name = bot_name.removeprefix("@").lower()
        self._handled: dict[int, None] = {}
        self._handled_elsewhere: set[int] = set()
        self._asked: dict[tuple[int, int], _Asked] = {}
        self._strangers: set[int] = set()
        self.remember(handled_update_ids)

    @property
    def handled_update_ids(self) -> tuple[int, ...]:
        """Ids handled lately, oldest first: to be saved before a command runs."""
        return tuple(self._handled)

    def remember(self, update_ids: Collection[int]) -> None:
        """Add ids that another node, or this one before a restart, began to handle."""
        self._handled_elsewhere |= set(update_ids) - set(self._handled)
        self._note_handled(*update_ids)
        self._handled_elsewhere &= set(self._handled)

    def _note_handled(self, *update_ids: int) -> None:
        for update_id in update_ids:
            self._handled[update_id] = None
        while len(self._handled) > IDS_MAX:
            del self._handled[next(iter(self._handled))]

    def step(
        self, incoming: Incoming, *, now_s: float, fresh_code: str, takeover_wall_ms: int | None
    ) -> Decision:
        """Decide about one message and remember its id.

        Args:
            incoming: the message.
            now_s: monotonic seconds.
            fresh_code: an unguessable code of four digits, made by the caller; used if a
                confirmation is to be asked for.
            takeover_wall_ms: when this node took over, Unix time; None when it never did.
        """
        if incoming.update_id in self._handled:
            return self._decide_again(incoming)
        self._note_handled(incoming.update_id)
        match = _COMMAND.match(incoming.text.strip())
        if match is None:
            return Ignore(reason="not a command")
        bot = (match["bot"] or "").lower()
        if bot and self._bot_name and bot != self._bot_name:
            return Ignore(reason="for another bot")
        if incoming.user_id not in self._allowed:
            return self._refuse_stranger(incoming)
        name = match["name"].lower()
        if name not in set(CommandName):
            return Answer(text=f"I do not know /{name}.\n{render_help()}", reason="unknown command")
        return self._decide(
            incoming,
            CommandName(name),
            code=(match["rest"] or "").strip(),
            now_s=now_s,
            fresh_code=fresh_code,
            takeover_wall_ms=takeover_wall_ms,
        )

    def _decide_again(self, incoming: Incoming) -> Decision:
        """Never run it again; but whoever asked may not have had an answer from the other node."""
        is_elsewhere = incoming.update_id in self._handled_elsewhere
        self._handled_elsewhere.discard(incoming.update_id)
        is_command = _COMMAND.match(incoming.text.strip()) is not None
        if is_elsewhere and is_command and incoming.user_id in self._allowed:
            return Answer(
                text=f"{incoming.text.split()[0][:40]} came in just before a change of nodes and "
                "may have been carried out. It is not carried out again: look at /status.",
                reason="handled elsewhere",
            )
        return Ignore(reason="handled before")

    def _decide(
        self,
        incoming: Incoming,
        name: CommandName,
        *,
        code: str,
        now_s: float,
        fresh_code: str,
        takeover_wall_ms: int | None,
    ) -> Decision:
        if name is CommandName.HELP:
            return Answer(text=render_help(), reason="help")
        if name in CHANGES_SOMETHING and is_stale(incoming.sent_wall_s, takeover_wall_ms):
            return Answer(
                text=f"/{name} was sent before this node took over, so it was not carried out. "
                "Look at /status, then send it again.",
                reason="older than the takeover",
            )
        if name in NEEDS_CODE:
            refusal = self._check_code(incoming, name, code, now_s=now_s, fresh_code=fresh_code)
            if refusal is not None:
                return refusal
        return Run(
            command=Command(
                name=name,
                update_id=incoming.update_id,
                chat_id=incoming.chat_id,
                user_id=incoming.user_id,
                by=f"telegram:{incoming.user_id}"
                + (f" ({incoming.user_name})" if incoming.user_name else ""),
            )
        )

    def _check_code(
        self, incoming: Incoming, name: CommandName, code: str, *, now_s: float, fresh_code: str
    ) -> Answer | None:
        """Return what to answer instead of running, None when the code is right."""
        key = (incoming.chat_id, incoming.user_id)
        asked = self._asked.get(key)
        if code and asked is not None and asked.name is name and now_s < asked.until_s:
            if code == asked.code:
                del self._asked[key]
                return None
            asked.tries += 1
            if asked.tries < CODE_TRIES_MAX:
                return Answer(text="That is not the code. Nothing was done.", reason="wrong code")
            del self._asked[key]
            return Answer(
                text=f"Wrong code three times. Nothing was done; send /{name} for a new one.",
                reason="wrong code, last try",
            )
        self._asked[key] = _Asked(name=name, code=fresh_code, until_s=now_s + CONFIRM_S)
        begin = "That code has run out or was never given. " if code else ""
        return Answer(
            text=f"{begin}To confirm, send within {CONFIRM_S:.0f} s:\n/{name} {fresh_code}",
            reason="asked for confirmation",
        )

    def _refuse_stranger(self, incoming: Incoming) -> Decision:
        if incoming.user_id in self._strangers or len(self._strangers) >= STRANGERS_MAX:
            return Ignore(reason="not allowed, told before")
        self._strangers.add(incoming.user_id)
        return Answer(
            text=f"You may not command this bot. Your user id is {incoming.user_id}.",
            reason="not allowed",
        )


def is_stale(sent_wall_s: int, takeover_wall_ms: int | None) -> bool:
    """Return True when the message was sent before the takeover.

    Telegram's time has whole seconds, cut off: a message of the takeover's own second counts as
    sent before it, because that cannot be excluded.
    """
    return takeover_wall_ms is not None and sent_wall_s * 1000 < takeover_wall_ms


def render_help() -> str:
    """Return the list of commands."""
    return "\n".join(f"/{name} — {HELP[name]}" for name in CommandName)

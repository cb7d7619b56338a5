"""Commands: who may, once, not stale, and the dangerous ones only with a code."""

from typing import Any

import pytest

from alerts.commands import (
    CONFIRM_S,
    HELP,
    IDS_MAX,
    Answer,
    CommandDesk,
    CommandName,
    Decision,
    Ignore,
    Incoming,
    Run,
    render_help,
)

SENT_S = 1_800_000_000


class Phone:
    """Messages of one person to a desk, with growing update ids and a clock by hand."""

    def __init__(self, desk: CommandDesk | None = None, **desk_fields: Any) -> None:
        self.desk = desk or CommandDesk(
            allowed_user_ids=desk_fields.pop("allowed", {42}), bot_name="spare_bot", **desk_fields
        )
        self.now_s = 0.0
        self.update_id = 0

    def send(self, text: str, **fields: Any) -> Decision:
        self.update_id += 1
        takeover = fields.pop("takeover_wall_ms", None)
        code = fields.pop("fresh_code", "1234")
        incoming = Incoming(
            **{
                "update_id": self.update_id,
                "chat_id": 42,
                "user_id": 42,
                "user_name": "ada",
                "text": text,
                "sent_wall_s": SENT_S,
                **fields,
            }
        )
        return self.desk.step(
            incoming, now_s=self.now_s, fresh_code=code, takeover_wall_ms=takeover
        )


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("/status", "run status"),
        (" /status ", "run status"),
        ("/STATUS", "run status"),
        ("/status@spare_bot", "run status"),
        ("/status@SPARE_bot", "run status"),
        ("/pause now please", "run pause"),
        ("/status@other_bot", "ignore"),
        ("status", "ignore"),
        ("what is the /status", "ignore"),
        ("", "ignore"),
        ("/", "ignore"),
        ("/help", "answer"),
        ("/sell everything", "answer"),
        ("/resume", "answer"),
        ("/resume 1234", "answer"),
    ],
)
def test_text_becomes(text: str, outcome: str) -> None:
    """Command forms of private chats and groups; anything else is not for us."""
    match Phone().send(text):
        case Run(command=command):
            assert outcome == f"run {command.name}"
            assert command.by == "telegram:42 (ada)"
        case Answer():
            assert outcome == "answer"
        case Ignore():
            assert outcome == "ignore"


@pytest.mark.parametrize("allowed", [set(), {41, 43}], ids=["empty list", "other people"])
@pytest.mark.parametrize("text", ["/status", "/pause", "/resume 1234", "/help", "/unknown"])
def test_stranger_is_refused_once_and_learns_nothing(allowed: set[int], text: str) -> None:
    """An empty list allows nobody; a refusal is one short line, and then silence."""
    phone = Phone(allowed=allowed)
    first = phone.send(text)
    assert isinstance(first, Answer)
    assert first.reason == "not allowed"
    assert first.text.count("\n") == 0
    second = phone.send(text)
    assert isinstance(second, Ignore)
    assert second.reason.startswith("not allowed")


def test_user_is_known_by_id_not_by_chat() -> None:
    """In an allowed person's chat id or group, another person stays a stranger."""
    assert isinstance(Phone().send("/pause", user_id=7, chat_id=42), Answer)
    assert isinstance(Phone().send("/pause", user_id=42, chat_id=-100), Run)


def test_update_is_handled_once() -> None:
    """The same update again, from this run: silence."""
    phone = Phone()
    assert isinstance(phone.send("/pause", update_id=5), Run)
    assert isinstance(phone.send("/pause", update_id=5), Ignore)


def test_update_handled_by_the_other_node_is_not_run_but_said() -> None:
    """Whoever asked may not have had an answer; once, and to allowed people only."""
    phone = Phone(handled_update_ids=(5, 6))
    again = phone.send("/pause", update_id=5)
    assert isinstance(again, Answer)
    assert "not carried out again" in again.text
    assert isinstance(phone.send("/pause", update_id=5), Ignore)
    assert isinstance(phone.send("/pause", update_id=6, user_id=7), Ignore)


def test_lower_update_id_is_a_new_update() -> None:
    """Telegram may begin anew at a random id after a quiet week."""
    phone = Phone()
    assert isinstance(phone.send("/pause", update_id=900_000), Run)
    assert isinstance(phone.send("/pause", update_id=100), Run)


def test_remembered_ids_are_bounded() -> None:
    """The memory holds the latest ids, more than one poll can bring."""
    phone = Phone()
    for number in range(IDS_MAX + 50):
        phone.send("hello", update_id=number)
    assert len(phone.desk.handled_update_ids) == IDS_MAX > 100
    assert phone.desk.handled_update_ids[-1] == IDS_MAX + 49


@pytest.mark.parametrize(
    ("text", "runs_when_stale"), [("/pause", False), ("/resume", False), ("/status", True)]
)
@pytest.mark.parametrize(
    ("takeover_wall_ms", "is_stale"),
    [(None, False), (SENT_S * 1000, False), (SENT_S * 1000 + 1, True)],
)
def test_command_older_than_the_takeover_changes_nothing(
    text: str, runs_when_stale: bool, takeover_wall_ms: int | None, is_stale: bool
) -> None:
    """It was meant for another leader; questions are answered all the same."""
    decision = Phone().send(text, takeover_wall_ms=takeover_wall_ms)
    if is_stale and not runs_when_stale:
        assert isinstance(decision, Answer)
        assert decision.reason == "older than the takeover"
    else:
        assert not isinstance(decision, Answer) or decision.reason == "asked for confirmation"


def test_resume_needs_the_code_that_was_given() -> None:
    """The first /resume gives a code; the code makes it run, once."""
    phone = Phone()
    asked = phone.send("/resume", fresh_code="8071")
    assert isinstance(asked, Answer)
    assert "8071" in asked.text
    assert isinstance(phone.send("/resume 8071"), Run)
    assert isinstance(phone.send("/resume 8071"), Answer)


@pytest.mark.parametrize(("after_s", "runs"), [(CONFIRM_S - 0.01, True), (CONFIRM_S, False)])
def test_code_runs_out(after_s: float, runs: bool) -> None:
    """Within 60 s, not later; then a new one is given."""
    phone = Phone()
    phone.send("/resume", fresh_code="8071")
    phone.now_s += after_s
    decision = phone.send("/resume 8071", fresh_code="5555")
    assert isinstance(decision, Run) == runs
    if isinstance(decision, Answer):
        assert "5555" in decision.text


def test_code_belongs_to_its_person_and_chat() -> None:
    """A code read over a shoulder or in another chat confirms nothing."""
    phone = Phone(allowed={42, 43})
    phone.send("/resume", fresh_code="8071")
    assert isinstance(phone.send("/resume 8071", user_id=43), Answer)
    assert isinstance(phone.send("/resume 8071", chat_id=-9), Answer)
    assert isinstance(phone.send("/resume 8071"), Run)


def test_three_wrong_codes_end_it() -> None:
    """Guessing is bounded; the right code is worthless afterwards."""
    phone = Phone()
    phone.send("/resume", fresh_code="8071")
    for code in ("0000", "0001", "0002"):
        assert isinstance(phone.send(f"/resume {code}", fresh_code="9999"), Answer)
    assert isinstance(phone.send("/resume 8071", fresh_code="9999"), Answer)


def test_help_lists_every_command() -> None:
    """Nothing that can be asked is hidden."""
    assert set(HELP) == set(CommandName)
    assert [line.split(" ")[0] for line in render_help().splitlines()] == [
        f"/{name}" for name in CommandName
    ]

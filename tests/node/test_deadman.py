"""When an outside service is pinged, what is said to it, and when its silence is told."""

import pytest

from node.deadman import (
    RETRY_S,
    DeadmanClock,
    DeadmanNotice,
    Ping,
    PingAnswer,
    PingRequest,
    judge_answer,
    render_ping,
)

UUID = "8f3c1f0e-5d0b-4c39-9d2a-0f6b7a1c2d3e"
WELL = Ping(is_well=True, text="jetson leads, epoch 7", last_ms=41.6)
UNWELL = Ping(is_well=False, text="jetson: stopped")
GOOD = PingAnswer(took_ms=20.0)
BAD = PingAnswer(took_ms=None, error="no answer in time")


@pytest.mark.parametrize(
    ("url", "well", "unwell"),
    [
        pytest.param(
            f"https://hc-ping.com/{UUID}",
            PingRequest(method="POST", url=f"https://hc-ping.com/{UUID}", body=WELL.text),
            PingRequest(method="POST", url=f"https://hc-ping.com/{UUID}/fail", body=UNWELL.text),
            id="healthchecks.io by uuid",
        ),
        pytest.param(
            "https://hc-ping.com/fqOOd6-F4MMNuCEnzTU01w/jetson?create=1",
            PingRequest(
                method="POST",
                url="https://hc-ping.com/fqOOd6-F4MMNuCEnzTU01w/jetson?create=1",
                body=WELL.text,
            ),
            PingRequest(
                method="POST",
                url="https://hc-ping.com/fqOOd6-F4MMNuCEnzTU01w/jetson/fail?create=1",
                body=UNWELL.text,
            ),
            id="healthchecks.io by ping key and slug",
        ),
        pytest.param(
            f"https://checks.home.example/ping/{UUID}/",
            PingRequest(
                method="POST", url=f"https://checks.home.example/ping/{UUID}", body=WELL.text
            ),
            PingRequest(
                method="POST", url=f"https://checks.home.example/ping/{UUID}/fail", body=UNWELL.text
            ),
            id="the same, hosted at home",
        ),
        pytest.param(
            "https://kuma.example/api/push/tok3n?status=up&msg=OK&ping=",
            PingRequest(
                method="GET",
                url="https://kuma.example/api/push/tok3n?status=up&"
                "msg=jetson+leads%2C+epoch+7&ping=42",
            ),
            PingRequest(
                method="GET",
                url="https://kuma.example/api/push/tok3n?status=down&msg=jetson%3A+stopped&ping=",
            ),
            id="Uptime Kuma as it shows the URL",
        ),
        pytest.param(
            "https://kuma.example/sub/api/push/tok3n",
            PingRequest(
                method="GET",
                url="https://kuma.example/sub/api/push/tok3n?status=up&"
                "msg=jetson+leads%2C+epoch+7&ping=42",
            ),
            PingRequest(
                method="GET",
                url="https://kuma.example/sub/api/push/tok3n?status=down&"
                "msg=jetson%3A+stopped&ping=",
            ),
            id="Uptime Kuma below a path, without a query",
        ),
        pytest.param(
            "https://alarm.example/p?key=1",
            PingRequest(method="GET", url="https://alarm.example/p?key=1"),
            None,
            id="a service of no known kind: fetched as it stands, or not at all",
        ),
    ],
)
def test_ping_is_said_in_the_services_own_way(
    url: str, well: PingRequest, unwell: PingRequest | None
) -> None:
    """devices.md 5.5: both services work, and so does a URL that nobody knows."""
    assert render_ping(url, WELL) == well
    assert render_ping(url, UNWELL) == unwell


def test_text_of_a_ping_is_one_short_line() -> None:
    """A strategy's or label's text must not become a header or a page."""
    request = render_ping(f"https://x.example/{UUID}", Ping(is_well=True, text="a\nb " + "c" * 999))
    assert request is not None
    assert request.body.startswith("a b c")
    assert len(request.body) == 200


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, "OK", ""),
        (200, '{"ok":true}', ""),
        (204, "", ""),
        (200, "OK (not found)", "the service says: not found"),
        (200, "OK (rate limited)", "the service says: rate limited"),
        (404, '{"ok":false}', "the service answered HTTP 404"),
        (302, "", "the service answered HTTP 302"),
        (500, "OK", "the service answered HTTP 500"),
    ],
)
def test_answer_counts_only_when_the_service_took_the_ping(
    status: int, body: str, error: str
) -> None:
    """healthchecks.io says 200 to a UUID that it does not know: only the words tell."""
    answer = judge_answer(status, body, 12.0)
    assert answer.error == error
    assert (answer.took_ms is None) == bool(error)


def clock() -> DeadmanClock:
    return DeadmanClock(pace_s=60.0, tell_after_s=300.0)


def test_first_finished_work_is_reported_at_once_and_then_at_the_pace() -> None:
    """Both sides of the bound."""
    beat = clock()
    assert beat.is_due(1000.0)
    beat.note_try(1000.0)
    assert beat.note_answer(1000.1, GOOD) is None
    assert not beat.is_due(1059.9)
    assert beat.is_due(1060.0)
    assert (beat.answered_s, beat.last_ms) == (1000.1, 20.0)


def test_lost_ping_is_tried_again_soon_logged_once_and_told_once() -> None:
    """A minute of silence is a grace half used; five minutes are news."""
    beat = clock()
    now_s, notices = 0.0, []
    while now_s < 1000.0:
        if beat.is_due(now_s):
            beat.note_try(now_s)
            notice = beat.note_answer(now_s, BAD)
            if notice is not None:
                notices.append((now_s, notice))
        now_s += RETRY_S
    assert notices == [(0.0, DeadmanNotice.LOST), (300.0, DeadmanNotice.SILENT)]
    assert beat.error == BAD.error
    beat.note_try(now_s)
    assert beat.note_answer(now_s, GOOD) is DeadmanNotice.BACK_TOLD
    assert beat.error == ""
    assert beat.note_answer(now_s + 60, GOOD) is None


def test_next_ping_after_a_lost_one_comes_sooner_and_never_later() -> None:
    """A grace of three minutes must outlast a lost packet; a short pace stays short."""
    for pace_s, wanted_s in ((60.0, RETRY_S), (5.0, 5.0)):
        beat = DeadmanClock(pace_s=pace_s, tell_after_s=300.0)
        beat.note_try(0.0)
        beat.note_answer(0.0, BAD)
        assert not beat.is_due(wanted_s - 0.1)
        assert beat.is_due(wanted_s)


def test_short_silence_is_logged_and_not_told() -> None:
    """One lost packet is no message."""
    beat = clock()
    beat.note_try(0.0)
    assert beat.note_answer(1.0, BAD) is DeadmanNotice.LOST
    beat.note_try(16.0)
    assert beat.note_answer(17.0, GOOD) is DeadmanNotice.BACK


def test_silence_from_before_a_time_without_pings_does_not_count() -> None:
    """A node that did not lead for an hour must not say that the service was silent for an hour."""
    beat = clock()
    beat.note_try(0.0)
    assert beat.note_answer(1.0, BAD) is DeadmanNotice.LOST
    beat.note_try(3600.0)
    assert beat.note_answer(3601.0, BAD) is DeadmanNotice.LOST


def test_what_was_told_is_taken_back_after_a_time_without_pings_too() -> None:
    """A message that something is broken is followed by one that it is not."""
    beat = clock()
    for now_s in range(0, 315, 15):
        beat.note_try(float(now_s))
        beat.note_answer(float(now_s), BAD)
    beat.note_try(7200.0)
    assert beat.note_answer(7200.0, GOOD) is DeadmanNotice.BACK_TOLD

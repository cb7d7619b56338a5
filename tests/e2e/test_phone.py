"""Commands by phone to a running pair, against a local Bot API server.

One pair lives through the whole file, test after test: the order of the tests is the story, so
one worker runs them all.
"""

import re
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from node.demo.stores import ServerMissing, find_server
from tests.support.bad_stage import JETSON, PI, Trial, changed, mover_plan, running_trial
from tests.support.phone_server import PERSON, PhoneServer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

STRANGER = 666
TRADING, NOBODY = 0, 2
# Three candles, and as many chances to send an order.
QUIET_S = 3.0


@pytest.fixture(scope="module")
def phone() -> Iterator[PhoneServer]:
    with PhoneServer() as server:
        yield server


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory, phone: PhoneServer) -> Iterator[Trial]:
    """Let the Jetson trade and the Pi be its spare; judge the whole run at the end."""
    try:
        find_server()
    except ServerMissing as error:
        pytest.skip(str(error))
    token = f'[telegram]\ntoken = "{phone.api.token}"\n'
    plan = mover_plan(extra_toml=phone.toml(), secrets_toml={JETSON: token, PI: token})
    with running_trial(tmp_path_factory.mktemp("phone"), plan) as made:
        made.start_holder()
        made.start(made.stage.nodes[PI])
        made.wait_spare(PI)
        yield made
        made.judge()


def ask(trial: Trial, phone: PhoneServer, text: str, *words: str, user_id: int = PERSON) -> str:
    """Write to the bot and wait for an answer with these words."""
    before = phone.write(text, user_id=user_id)

    def answered() -> str | None:
        texts = phone.answers(before, chat_id=user_id)
        return next((t for t in texts if all(w.lower() in t.lower() for w in words)), None)

    return str(trial.wait(answered, f"an answer to {text} with {words}"))


def test_status_is_answered_by_the_active_node(trial: Trial, phone: PhoneServer) -> None:
    ask(trial, phone, "/status", "jetson leads", "raspberrypi", "not paused")
    ask(trial, phone, "/help", "/pause", "/resume")


def test_stranger_is_refused_and_nothing_happens(trial: Trial, phone: PhoneServer) -> None:
    """An id that is not on the list gets one short refusal; the attempt is logged."""
    with trial.holder_unharmed():
        before = phone.write("/pause", user_id=STRANGER)
        trial.wait(lambda: phone.answers(before, chat_id=STRANGER), "a refusal")
        text = "\n".join(phone.answers(before, chat_id=STRANGER))
        assert "jetson" not in text
        # The next command of somebody else is handled after it: the pause is not under way.
        ask(trial, phone, "/status", "jetson leads", "not paused")
        trial.wait_event(
            trial.stage.nodes[JETSON],
            "command.received",
            user_id=STRANGER,
            decision="not allowed",
        )
        assert not trial.stage.nodes[JETSON].events("latch.paused")


def test_pause_latches_and_resume_asks_for_a_code(trial: Trial, phone: PhoneServer) -> None:
    """S6: orders stop, `nodectl status` shows it; only the code that was given out resumes."""
    jetson = trial.stage.nodes[JETSON]
    ask(trial, phone, "/pause", "paused", "/resume")
    for node_id in (JETSON, PI):
        trial.wait_event(trial.stage.nodes[node_id], "latch.paused")
    status = trial.nodectl("status")
    status.names("paused", "asked by phone")
    assert status.code == NOBODY
    before, until_s = len(trial.stage.requests()), time.monotonic() + QUIET_S
    trial.wait(lambda: time.monotonic() > until_s, "three candles")
    assert not [r for r in trial.requests(JETSON, since=before) if r["method"] == "POST"]

    asked = ask(trial, phone, "/resume", "to confirm")
    assert not jetson.events("latch.resumed")
    found = re.search(r"/resume (\d{4})", asked)
    assert found is not None, asked
    ask(trial, phone, f"/resume {found.group(1)}", "resumed")
    trial.wait_event(jetson, "latch.resumed")
    trial.wait_order(JETSON)
    trial.wait(lambda: trial.nodectl("status").code == TRADING, "the status to show it")


def test_new_active_node_answers_after_a_failover(trial: Trial, phone: PhoneServer) -> None:
    trial.stage.nodes[JETSON].kill()
    trial.stage.wait_role(PI, "active")
    ask(trial, phone, "/status", "raspberrypi leads")
    trial.wait_order(PI)


def test_standby_answers_status_when_nobody_is_active(trial: Trial, phone: PhoneServer) -> None:
    """A pause keeps the standby from taking over; it can still be asked, and changes nothing."""
    jetson = trial.stage.nodes[JETSON]
    trial.start(jetson)
    trial.wait_spare(JETSON)
    ask(trial, phone, "/pause", "paused")
    seen = len(trial.roles(jetson))
    trial.wait_event(jetson, "latch.paused", reason=paused_reason(trial))
    trial.stage.nodes[PI].kill()
    ask(trial, phone, "/status", "paused", "raspberrypi")
    ask(trial, phone, "/resume", "to confirm")
    assert trial.roles(jetson)[seen:] == []

    assert trial.nodectl("resume").code == 0
    trial.wait(lambda: "active" in trial.roles(jetson)[seen:], "the Jetson to trade")
    trial.wait_order(JETSON)
    ask(trial, phone, "/status", "jetson leads", "not paused")


def paused_reason(trial: Trial) -> str:
    """Return the reason that the holder logged with the last pause."""
    event = trial.wait(
        lambda: trial.stage.nodes[PI].events("latch.paused")[-1:], "the holder to be paused"
    )
    return str(event[0]["reason"])


def test_telegram_test_finds_the_chat_and_sends_one_message(trial: Trial) -> None:
    with PhoneServer() as phone:
        edit = changed(f"chat_id = {PERSON}", "")
        node = trial.variant(
            "telegram-test",
            config=lambda t: re.sub(r'api_url = ".*"', f'api_url = "{phone.url}"', edit(t)),
        )
        command = [sys.executable, "-m", "node.cli.main", "telegram", "test", "--node", PI]
        with subprocess.Popen(
            command,
            cwd=node.console.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                trial.wait(lambda: phone.api.count("getUpdates"), "the command to listen")
                phone.write("hello")
                said, _ = process.communicate(timeout=60)
            finally:
                process.kill()
        assert process.returncode == 0, said
        assert f"chat_id = {PERSON}" in said
        assert f"allowed_user_ids = [{PERSON}]" in said
        assert phone.api.token not in said
        assert len(phone.api.messages) == 1

"""Pings over real HTTP, to a service that speaks both ways, breaks, hangs, or is not there."""

import socket
from collections.abc import Iterator

import pytest

from node.deadman import Ping, PingAnswer
from node.deadman_http import HttpPinger
from tests.support.alarm_service import TOKEN, UUID, AlarmService
from tests.support.until import until

WELL = Ping(is_well=True, text="jetson leads, epoch 7")


@pytest.fixture
def service() -> Iterator[AlarmService]:
    """An alarm service of this test's own."""
    with AlarmService() as running:
        yield running


async def answer_of(pinger: HttpPinger) -> PingAnswer:
    """Wait for what became of the ping."""
    found: list[PingAnswer] = []

    def has_come() -> bool:
        answer = pinger.take_answer()
        if answer is not None:
            found.append(answer)
        return bool(found)

    await until(has_come)
    return found[0]


async def test_both_services_hear_up_and_down(service: AlarmService) -> None:
    """The two conventions of devices.md 5.5, over a socket."""
    for url, check in ((service.healthchecks_url, UUID), (service.kuma_url, TOKEN)):
        pinger = HttpPinger(url, timeout_s=10)
        for ping in (WELL, Ping(is_well=False, text="jetson: stopped")):
            assert pinger.send(ping)
            assert (await answer_of(pinger)).took_ms is not None
        up, down = service.of(check)
        assert (up.is_up, up.text) == (True, WELL.text)
        assert (down.is_up, down.text) == (False, "jetson: stopped")


@pytest.mark.parametrize("mode", ["500", "unknown"])
async def test_refusals_do_not_count_and_never_quote_the_url(
    service: AlarmService, mode: str
) -> None:
    """The URL is a secret."""
    service.mode = mode
    for url in (service.healthchecks_url, service.kuma_url):
        pinger = HttpPinger(url, timeout_s=10)
        assert pinger.send(WELL)
        answer = await answer_of(pinger)
        assert answer.took_ms is None
        assert answer.error
        for secret in (UUID, TOKEN, service.url):
            assert secret not in answer.error


async def test_service_that_hangs_holds_up_nobody(service: AlarmService) -> None:
    """`send` returns at once, also while the one before hangs; then the timeout ends it."""
    service.mode = "hang"
    pinger = HttpPinger(service.healthchecks_url, timeout_s=1)
    assert pinger.send(WELL)
    assert pinger.take_answer() is None
    assert not pinger.send(WELL)
    assert (await answer_of(pinger)).error == "no answer in time"
    service.mode = ""
    await until(lambda: pinger.send(WELL))
    assert (await answer_of(pinger)).took_ms is not None


async def test_nobody_there_is_an_answer_in_words() -> None:
    """A closed port and a name that cannot be."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}/{UUID}", f"http://nowhere.invalid/{UUID}"):
        pinger = HttpPinger(url, timeout_s=10)
        assert pinger.send(WELL)
        answer = await answer_of(pinger)
        assert answer.took_ms is None
        assert answer.error
        assert UUID not in answer.error


async def test_what_cannot_be_said_is_not_sent(service: AlarmService) -> None:
    """A service of no known kind hears nothing while the node is not well."""
    pinger = HttpPinger(f"{service.url}/p", timeout_s=10)
    assert pinger.send(Ping(is_well=False, text="stopped"))
    assert pinger.send(WELL)
    assert (await answer_of(pinger)).took_ms is not None
    assert [(ping.method, ping.check) for ping in service.heard] == [("GET", "p")]

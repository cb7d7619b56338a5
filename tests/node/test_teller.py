"""What is told is on disk when the call returns, and a stalled disk holds nobody up."""

import asyncio

import pytest

from alerts.model import AlertEvent, Kind
from node.teller import Teller
from tests.support.trading_rig import Ear
from tests.support.until import until


class SlowEar(Ear):
    """An alert path whose disk the test stalls."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def put_soon(self, event: AlertEvent) -> bool:
        await self.gate.wait()
        return await super().put_soon(event)


class DeafEar(Ear):
    """An alert path with a bug."""

    async def put_soon(self, event: AlertEvent) -> bool:
        raise RuntimeError(event.event_id)


def teller(ear: Ear) -> Teller:
    return Teller(ear, cluster="c", node_id="jetson", epoch=lambda: 3, durable_wait_s=0.01)


async def test_what_is_told_is_there_when_the_call_returns() -> None:
    """One happening, one id, the present epoch."""
    ear = Ear()
    await teller(ear).tell(Kind.ERROR, "disk", {"what": "x"})
    assert [event.kind for event in ear.events] == [Kind.ERROR]
    assert "disk" in ear.events[0].event_id


async def test_no_signed_request_reaches_disk_or_chat() -> None:
    """Whoever tells it: reasons are often the words of a library."""
    ear = Ear()
    reason = "GET /api/v3/order?timestamp=1&signature=0123456789abcdef failed"
    await teller(ear).tell(Kind.ERROR, "venue", {"error": reason})
    assert (
        ear.events[0].facts["error"] == "GET /api/v3/order?timestamp=1&signature=[redacted] failed"
    )


async def test_a_stalled_disk_holds_up_nobody_and_loses_nothing() -> None:
    """R8: the work loop goes on; the messages follow in order."""
    ear = SlowEar()
    voice = teller(ear)
    for number in range(3):
        await asyncio.wait_for(voice.tell(Kind.ERROR, str(number), {}), 30)
    assert ear.events == []
    ear.gate.set()
    await until(lambda: len(ear.events) == 3)
    assert [event.event_id[-1] for event in ear.events] == ["0", "1", "2"]


async def test_a_bug_of_the_alert_path_is_not_swallowed() -> None:
    """Nothing is silent (S5)."""
    with pytest.raises(RuntimeError):
        await teller(DeafEar()).tell(Kind.ERROR, "x", {})

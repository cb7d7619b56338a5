"""What a watched drill says of times, by a clock that the test moves."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from election.peek import ClusterPeek
from exchange.journal import Journal
from node.drill import watching
from node.drill.model import DrillKind, DrillRequest
from node.drill.watching import DrillWatch
from tests.node.test_doctor_losses import THREE
from tests.node.test_drill_track import look

ACTIVE: dict[str, Any] = {"role": "active"}
FIT: dict[str, Any] = {"role": "standby", "reasons": []}
DIED_S, GRANTED_S, BACK_S = 101.0, 102.0, 104.0
REPORT, _ = Journal().edit(epoch=8, takeovers={8: {"ready_after_s": 0.1}})


class Clock:
    """Seconds that pass by sleeping alone."""

    now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def picture(now_s: float) -> ClusterPeek:
    """The Jetson dies at 101 s, the Pi leads from 102 s on, the Jetson is a spare from 104 s on."""
    if now_s < GRANTED_S:
        age_s = max(0.0, now_s - DIED_S)
        return look(*[("jetson", 7, age_s)] * 3, jetson=ACTIVE, raspberrypi=FIT)
    jetson = FIT if now_s >= BACK_S else ACTIVE
    seen = look(*[("raspberrypi", 8, 0.0)] * 3, jetson=jetson, raspberrypi=ACTIVE)
    documents = dict(REPORT.documents())
    return ClusterPeek(stores=tuple(replace(s, documents=documents) for s in seen.stores))


def test_a_node_is_back_when_it_is_back_not_when_nobody_waits_for_an_order_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A quiet strategy sends no first order: the ten seconds given to it are nobody's absence."""
    clock, said = Clock(), list[str]()
    monkeypatch.setattr(
        watching, "time", SimpleNamespace(monotonic=clock.monotonic, sleep=clock.sleep)
    )
    watch = DrillWatch(
        config=THREE,
        request=DrillRequest(
            drill_id="crash-1", kind=DrillKind.CRASH, target="jetson", holder="jetson", epoch=7
        ),
        look=lambda: picture(clock.now_s),
        say=said.append,
        back_within_s=120.0,
        has_alerts=False,
        asked_s=clock.now_s,
    )
    watch.run()
    seen = watch.seen(by="a test", at_ms=0)
    assert (seen.new_holder, seen.first_order_s) == ("raspberrypi", None)
    (line,) = [text for text in said if "is back" in text]
    assert float(line.split()[0]) == pytest.approx(BACK_S - 100, abs=3 * watching.POLL_S)
    assert seen.back_s == pytest.approx(BACK_S - DIED_S, abs=3 * watching.POLL_S)

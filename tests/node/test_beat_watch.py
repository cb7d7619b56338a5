"""R8: the longest gap between heartbeats is measured and told above ttl/3, once an episode."""

from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from node.beat_watch import WINDOW_S, BeatWatch, GapJudge
from node.health import Health
from node.parts import NodeParts


def test_a_long_gap_is_news_once_until_a_whole_window_was_well() -> None:
    judge = GapJudge(bound_s=2.0)
    assert not judge.step(1.9, 0)
    assert judge.step(2.1, 1)
    assert not judge.step(2.5, 2)
    assert judge.longest_s == 2.5
    assert not judge.step(0.9, 2 + WINDOW_S + 0.5)
    assert judge.longest_s == 0.9
    assert judge.step(3.0, 3 + WINDOW_S + 1)


@given(st.lists(st.tuples(st.integers(1, 25), st.integers(0, 9)), max_size=40))
def test_the_longest_gap_is_that_of_the_last_minute(looks: list[tuple[int, int]]) -> None:
    """Whatever the judge has let go: the same as all measures of the window would say."""
    judge, now_s, seen = GapJudge(bound_s=5.0), 0.0, []
    for passed_s, gap_s in looks:
        now_s += passed_s
        seen.append((now_s, float(gap_s)))
        judge.step(gap_s, now_s)
        assert judge.longest_s == max(gap for at_s, gap in seen if now_s - at_s <= WINDOW_S)


def test_a_node_without_the_lease_has_no_gap() -> None:
    judge = GapJudge(bound_s=2.0)
    assert not judge.step(0.0, 0)
    assert judge.longest_s == 0.0


async def test_it_is_published_and_told_with_what_to_type() -> None:
    """The member board shows the worst of the last minute; one message, one event."""
    told: list[tuple[Any, ...]] = []
    gaps = iter([0.9, 2.4, 1.0])

    async def tell(*arguments: Any) -> None:
        told.append(arguments)

    health = Health()
    parts = SimpleNamespace(
        config=SimpleNamespace(lease=SimpleNamespace(ttl_ms=6000)),
        heartbeat=SimpleNamespace(view=lambda: SimpleNamespace(longest_gap_s=next(gaps))),
        health=health,
        teller=SimpleNamespace(tell=tell),
        identity=SimpleNamespace(nonce="n"),
        wall_ms=lambda: 1,
    )
    watch = BeatWatch(cast("NodeParts", parts))
    for now_s in (10.0, 10.5, 11.0, 12.0):
        await watch.step(now_s)
    assert health.longest_gap_ms == 2400
    ((kind, _, facts),) = told
    assert kind == "degraded"
    assert "2.4 s between two renewals" in facts["reason"]
    assert "doctor --measure" in facts["fix"]

"""Durable writes are timed on request: a slow card is found, and nothing is left behind."""

from pathlib import Path

import pytest

from node.doctor.disk_speed import (
    SLOW_MS,
    WRITES,
    judge_writes,
    measure_writes,
    render_writes,
    slowest_usual_ms,
)
from node.doctor.findings import Level


def test_a_measurement_leaves_nothing_behind(tmp_path: Path) -> None:
    took = measure_writes(tmp_path)
    assert not isinstance(took, str)
    assert len(took) == WRITES
    assert min(took) > 0
    assert list(tmp_path.iterdir()) == []
    assert "20 of 4 KB" in render_writes("Jetson", took)


def test_a_folder_that_takes_nothing_is_a_note(tmp_path: Path) -> None:
    why = measure_writes(tmp_path / "none")
    assert isinstance(why, str)
    (found,) = judge_writes("Jetson", why)
    assert (found.level, why in found.what) == (Level.GOOD, True)
    assert "not measured" in render_writes("Jetson", why)


@pytest.mark.parametrize(
    ("took_ms", "is_slow"),
    [
        ([1.0] * WRITES, False),
        ([SLOW_MS] * WRITES, False),
        ([SLOW_MS + 0.1] * WRITES, True),
        # one stall in twenty is what a card may do now and then; two are its way
        ([1.0] * 19 + [SLOW_MS * 9], False),
        ([1.0] * 18 + [SLOW_MS * 2] * 2, True),
    ],
)
def test_only_a_usual_slowness_is_found(took_ms: list[float], *, is_slow: bool) -> None:
    found = judge_writes("Jetson", took_ms)
    assert [f.level for f in found] == ([Level.LOOK] if is_slow else [])
    assert slowest_usual_ms(took_ms) in took_ms

"""A copied card: two boxes with one node id, of which one may run.

Real nodes, real stores, the paper exchange; every run ends with the judge, who reads the logs.
"""

import contextlib
import shutil
import signal
from collections.abc import Iterator

import pytest

from node.demo.node_process import NodeProcess
from tests.support.pair import JETSON, PI, Pair

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


@contextlib.contextmanager
def copied_box(pair: Pair, node_id: str, state_dir: str = "copied-state") -> Iterator[NodeProcess]:
    """Another box from a copy of a node's card: same id, same keys, the whole state directory."""
    stage = pair.stage
    shutil.copytree(
        stage.directory / "state" / node_id,
        stage.directory / state_dir / node_id,
        ignore=shutil.ignore_patterns("log"),
    )
    copy = NodeProcess(stage.config_path, node_id, state_dir=state_dir)
    try:
        yield copy
    finally:
        copy.stop()


def duplicates(node: NodeProcess) -> list[str]:
    return [e["reason"] for e in node.events("member.duplicate")]


@pytest.mark.parametrize("node_id", [JETSON, PI], ids=["of-the-holder", "of-the-spare"])
def test_copied_card_refuses_to_start(pair: Pair, node_id: str) -> None:
    """R1, scenario 30: with the whole state directory copied, the second box refuses in words."""
    pair.open()
    before = {node: pair.stage.role_changes(node) for node in (JETSON, PI)}
    with copied_box(pair, node_id) as copy:
        copy.start()
        assert copy.wait(90.0) == 1
        (said,) = duplicates(copy)
    assert f"another living process uses the node id {node_id}" in said
    assert "SD card" in said
    assert {node: pair.stage.role_changes(node) for node in (JETSON, PI)} == before
    pair.wait_order(JETSON)
    pair.judge()


def test_copied_card_may_start_when_the_first_has_died(pair: Pair) -> None:
    """R1, scenario 30: the copy is the replacement of a dead box, with what the card remembers."""
    pair.open()
    pair.fill_some()
    pair.kill(JETSON)
    pair.wait_active(PI)
    with copied_box(pair, JETSON) as copy:
        copy.start()
        pair.story.wait_spare(JETSON)
        assert not duplicates(copy)
        # It is the Jetson now: asked to, it takes over.
        switched = pair.stage.nodectl("switchover", "--to", JETSON)
        assert switched.returncode == 0, switched.stderr
        pair.wait(
            lambda: any(e["to"] == "active" for e in copy.events("role.changed")),
            "the replacement to trade",
        )
        pair.wait_order(JETSON)
        # The first box is plugged in again: it is the copy now, and refuses.
        pair.node(JETSON).start()
        assert pair.node(JETSON).wait(90.0) == 1
        assert duplicates(pair.node(JETSON))
        copy.send(signal.SIGTERM)
        assert copy.wait(60.0) == 0
    pair.wait(lambda: pair.is_active(PI), "the Pi to go on")
    # Its log lies elsewhere; the venue's and the Pi's still tell one story.
    pair.wait_order(PI)


def test_copied_card_started_at_the_same_instant(pair: Pair) -> None:
    """R1, scenario 30: after a power cut both boots find nobody; one of the two still ends.

    Neither can see the other when it looks at its start, so they must go on looking.
    """
    pair.start(JETSON)
    pair.wait_active(JETSON)
    since = pair.stage.role_changes(JETSON)
    assert pair.node(JETSON).stop(60.0) == 0
    first = pair.node(JETSON)
    with copied_box(pair, JETSON) as copy:
        both = (first, copy)
        for node in both:
            node.start()
        ended = pair.wait(
            lambda: [n for n in both if not n.is_running], "one of the two to end", timeout_s=180
        )
        assert len(ended) == 1
        assert ended[0].wait() == 1
        (said,) = duplicates(ended[0])
        assert "SD card" in said
        left = copy if ended[0] is first else first

        def trades() -> bool:
            roles = [e["to"] for e in left.events("role.changed")]
            return roles[since if left is first else 0 :][-1:] == ["active"]

        pair.wait(trades, "the other one to trade")
        assert not duplicates(left)
        epochs = [e["lease_epoch"] for n in both for e in n.events("lease.granted")]
        assert len(epochs) == len(set(epochs))
        pair.wait_order(JETSON)

"""Peer endpoint, stand-down and stop hook: with one rule broken a checker of the simulator says so.

As in test_variants.py: each runs with one store and the faults that bring it out, from seed 0 on.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest

from election.peer_auth import ChallengeBook
from election.promise import NOTHING_PROMISED, PromiseMemory, PromiseState
from election.promises import Promises
from node import peer_client, peer_desk, post_mortem
from node.sim.box import Box
from node.sim.edges import SimEdges
from node.sim.simulation import Plan, Simulation
from tests.support.sim_variants import Variant

SEEDS_MAX = 12


@contextmanager
def promise_forgotten_at_a_restart() -> Iterator[None]:
    """R14: a process begins as if its node had promised nothing."""
    with patch.object(SimEdges, "promise_memory", lambda _: NOTHING_PROMISED):
        yield


@contextmanager
def end_agreed_without_letting_go() -> Iterator[None]:
    """R14: the holder agrees to an end while it trades by that promise, and goes on."""

    def take_end(desk: Any, sender: str, body: Mapping[str, Any]) -> Any:
        del desk, sender, body
        yield lambda: None
        return peer_desk.Outcome(code=peer_desk.DONE, text="not relied on", ttl_ms=6000)

    with patch.object(peer_desk.PeerDesk, "_take_end", take_end):
        yield


@contextmanager
def no_wait_after_an_end() -> Iterator[None]:
    """R14: whoever stands up contends at once, as if it had watched all the time."""

    def obstacles(promises: Promises, _: object) -> tuple[str, ...]:
        return (promises._reason,) if promises._reason else ()

    with (
        patch.object(Promises, "obstacles", obstacles),
        patch("election.observed.Observed.restart", lambda *_: None),
    ):
        yield


@contextmanager
def challenge_used_twice() -> Iterator[None]:
    """R13: what was signed over a challenge is believed again."""
    accept = ChallengeBook.accept

    def again(book: ChallengeBook, challenge: str, *, now_s: float) -> bool:
        return challenge in book._used or accept(book, challenge, now_s=now_s)

    with patch.object(ChallengeBook, "accept", again):
        yield


@contextmanager
def answers_not_checked() -> Iterator[None]:
    """R13: an answer counts whatever it is signed over."""
    with patch.object(peer_client, "is_signature", lambda *_: True):
        yield


@contextmanager
def claim_not_asked() -> Iterator[None]:
    """R16: a stop hook releases although the process lives."""
    with patch.object(Box, "claim", lambda *_: True):
        yield


@contextmanager
def nothing_under_way() -> Iterator[None]:
    """R16: a stop hook says that nothing was under way, whatever was."""
    with patch.object(post_mortem, "judge_drain", lambda *_: (0, "nothing was under way")):
        yield


VARIANTS = {
    "a restarted process forgets the promise": Variant(
        breaks=promise_forgotten_at_a_restart,
        only=("stand_down", "stand_down_and_reboot", "kill", "cut_cable"),
        caught_by=("a node leads although it stood down",),
    ),
    "the holder agrees to an end and goes on": Variant(
        breaks=end_agreed_without_letting_go,
        only=("stand_down_and_reboot", "repent", "end_stand_down"),
        caught_by=("a promise ended while the other node relies on it",),
    ),
    "whoever stands up contends at once": Variant(
        breaks=no_wait_after_an_end,
        only=("stand_down", "force_end"),
        caught_by=("a node leads within one ttl of the end of its promise",),
    ),
    "a challenge is accepted twice": Variant(
        breaks=challenge_used_twice,
        only=("cut_cable",),
        caught_by=("a request was believed twice",),
    ),
    "an answer's signature is not checked": Variant(
        breaks=answers_not_checked,
        only=("cut_cable",),
        caught_by=("an answer to an earlier question was believed",),
    ),
    "the stop hook does not ask for the claim": Variant(
        breaks=claim_not_asked,
        only=("start_twice",),
        caught_by=("the lease of a living process was released",),
    ),
    "the stop hook says that nothing was under way": Variant(
        breaks=nothing_under_way,
        only=("kill_in_flight",),
        caught_by=("an order arrived after a stop hook said that none would",),
    ),
}


@pytest.mark.timeout(600)  # seconds of processor time, many more on a busy machine
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS.keys())
def test_broken_rule_is_caught(variant: Variant) -> None:
    """Each rule is needed: without it a promise is broken, and a checker says which."""
    for seed in range(SEEDS_MAX):
        plan = Plan(
            seed=seed,
            hours=0.15,
            stores=1,
            only=variant.only,
            fault_every_s=4.0,
            strategy=variant.strategy,
        )
        with variant.breaks():
            report = Simulation(plan).run()
        if report.violations:
            assert any(words in report.violations[0] for words in variant.caught_by), (
                f"seed {seed}: {report.violations[0]}"
            )
            assert not Simulation(plan).run().violations, "the sound code fails too"
            return
    pytest.fail(f"no checker noticed in {SEEDS_MAX} seeds")


def test_promise_state_of_a_new_card_is_not_known() -> None:
    """The simulated card begins without memory, as a real one does: the other node is asked."""
    simulation = Simulation(Plan(seed=0, stores=1))
    assert {box.disk.promise for box in simulation.boxes} == {
        PromiseMemory(state=PromiseState.UNKNOWN)
    }

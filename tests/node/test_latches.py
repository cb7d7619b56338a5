"""Latches: highest version wins, absence means paused, only `init` starts free (S6)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from election.control_record import ControlRecord
from node.latches import NO_LATCHES, merge_latches


def make(kind: str, version: int, **value: object) -> ControlRecord:
    return ControlRecord(
        kind=kind, version=version, value=value, by="test", at_ms=1, reason="because"
    )


def test_latches_found_nowhere_count_as_paused() -> None:
    latches, is_first = merge_latches({}, {}, is_first_start_allowed=False)
    assert latches.is_paused
    assert not is_first
    assert "no control record" in latches.pause_reason


def test_latches_drill_records_alone_prove_nothing() -> None:
    """S6: a drill log in wiped stores must not set a cluster free whose pause was lost."""
    for kind in NO_LATCHES:
        latches, is_first = merge_latches({kind: make(kind, 3)}, is_first_start_allowed=False)
        assert latches.is_paused
        assert not is_first


@pytest.mark.parametrize(
    "kind", ["cluster", "clear_crashes", "last_crash", "loss_limit", "switchover"]
)
def test_latches_that_say_nothing_about_a_pause_do_not_end_it(kind: str) -> None:
    """S6: a request, a cleared or noted crash, an account say nothing about a pause."""
    record = make(kind, 1, account="1001")
    latches, is_first = merge_latches({kind: record}, is_first_start_allowed=True)
    assert latches.is_paused
    assert not is_first


def test_latches_the_birth_of_the_cluster_proves_that_it_may_trade() -> None:
    latches, _ = merge_latches(
        {"cluster": make("cluster", 1, born_ms=5)}, is_first_start_allowed=False
    )
    assert not latches.is_paused


def test_latches_out_of_a_backup_latch_and_never_free() -> None:
    """S6: the pause that a backup does not know yet may have been lost with everything else."""
    born = {"cluster": make("cluster", 2, born_ms=5, account="1001")}
    latches, is_first = merge_latches({}, restored=born, is_first_start_allowed=True)
    assert latches.is_paused
    assert not is_first
    assert latches.account == "1001"
    lifted = {"pause": make("pause", 3, is_paused=False), **born}
    assert merge_latches({}, restored=lifted, is_first_start_allowed=False)[0].is_paused
    latched = {"loss_limit": make("loss_limit", 4, is_latched=True)}
    assert merge_latches(born, restored=latched, is_first_start_allowed=False)[0].is_loss_latched


@given(st.integers(1, 9), st.booleans(), st.integers(1, 9), st.booleans())
def test_latches_out_of_a_backup_lose_against_every_newer_word(
    version: int, is_paused: bool, old_version: int, was_paused: bool
) -> None:
    """Neither lifts a newer pause nor brings back one that was lifted since."""
    living = {"pause": make("pause", version + old_version, is_paused=is_paused)}
    old = {"pause": make("pause", old_version, is_paused=was_paused)}
    latches, _ = merge_latches(living, restored=old, is_first_start_allowed=False)
    assert latches.is_paused is is_paused


def test_latches_found_nowhere_after_init_start_free() -> None:
    latches, is_first = merge_latches({}, {}, is_first_start_allowed=True)
    assert not latches.is_paused
    assert is_first


def test_latches_marker_is_ignored_once_any_record_exists() -> None:
    known = {"pause": make("pause", 3, is_paused=True)}
    latches, is_first = merge_latches(known, is_first_start_allowed=True)
    assert latches.is_paused
    assert not is_first


def test_latches_pause_without_readable_flag_counts_as_paused() -> None:
    latches, _ = merge_latches({"pause": make("pause", 1)}, is_first_start_allowed=False)
    assert latches.is_paused


def test_latches_loss_limit_latches_until_lifted() -> None:
    set_ = make("loss_limit", 1, is_latched=True)
    lifted = make("loss_limit", 2, is_latched=False)
    assert merge_latches({"loss_limit": set_}, is_first_start_allowed=False)[0].is_loss_latched
    both = merge_latches({"loss_limit": lifted}, {"loss_limit": set_}, is_first_start_allowed=False)
    assert not both[0].is_loss_latched


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["pause", "cluster", "accept"]), st.integers(1, 9)),
        max_size=5,
    ),
    st.randoms(),
)
def test_latches_merge_does_not_depend_on_order(
    versions: list[dict[str, int]], random_source: object
) -> None:
    """The same records in any order and repetition give the same latches."""
    sources = [{k: make(k, v, is_paused=v % 2 == 0) for k, v in each.items()} for each in versions]
    shuffled = list(sources)
    random_source.shuffle(shuffled)  # type: ignore[attr-defined]
    first = merge_latches(*sources, is_first_start_allowed=False)[0]
    again = merge_latches(*shuffled, *sources, is_first_start_allowed=False)[0]
    assert first == again

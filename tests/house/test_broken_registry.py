"""Every broken rule still fits the code, and whoever must notice it is still there.

The breaks themselves take minutes to run; that one of them has lost its text, or a test file that
it names, is known here at once. In the simulations, entering a break is what looks for its text,
and shows whether what it puts in the place of a function takes the same calls.
"""

from contextlib import ExitStack
from typing import Any

import pytest

from exchange.journal import merge
from node.standby import Standby
from tests.broken.registry import VARIANTS
from tests.broken.scripts import CHECKS
from tests.broken.variant import ByTests
from tests.mutation import run as mutation
from tests.sim import test_promise_variants, test_variants
from tests.sim.regressions import REGRESSIONS
from tests.support.edited import ROOT, edited_texts
from tests.support.patched import Patched, noted_patches

EDITS = {name: variant.edits for name, variant in VARIANTS.items()} | {
    f"script: {name}": (check.edit,) for name, check in CHECKS.items()
}
TESTS = {
    name: variant.proof.tests
    for name, variant in VARIANTS.items()
    if isinstance(variant.proof, ByTests)
} | {f"script: {name}": check.tests for name, check in CHECKS.items()}
TESTS["mutants"] = mutation.TESTS
BREAKS = (
    {name: variant.breaks for name, variant in test_variants.VARIANTS.items()}
    | {name: variant.breaks for name, variant in test_promise_variants.VARIANTS.items()}
    | {name: kept.old_defect for name, kept in REGRESSIONS.items()}
)


def test_house_every_edit_of_a_broken_rule_fits_once() -> None:
    """An edit whose text is gone, or there twice, breaks something else than it says."""
    for edits in EDITS.values():
        edited_texts(edits)


def test_house_every_test_that_must_notice_a_broken_rule_exists() -> None:
    """A file that was renamed, or `-k` words that select nothing, would notice nothing."""
    lost = []
    for name, words in TESTS.items():
        files = [ROOT / word.partition("::")[0] for word in words if word.startswith("tests/")]
        lost += [f"{name}: {file} is gone" for file in files if not file.exists()]
        text = "".join(file.read_text("utf-8") for file in files if file.is_file())
        chosen = words[words.index("-k") + 1] if "-k" in words else ""
        wanted = [word for word in chosen.split() if word not in ("and", "or", "not")]
        lost += [f"{name}: no {word!r} in its tests" for word in wanted if word not in text]
    assert lost == []


@pytest.mark.parametrize("name", BREAKS)
def test_house_every_break_of_the_simulations_fits(name: str) -> None:
    """A break that does not fit says so when it is entered; one that cannot be called, here."""
    with noted_patches() as entered, ExitStack() as stack:
        stack.enter_context(BREAKS[name]())
    assert entered
    assert [text for patched in entered if (text := patched.misfit())] == []


@pytest.mark.parametrize(
    ("replacement", "says"),
    [
        (lambda sources: merge([*sources]), "unexpected keyword argument 'known'"),
        (lambda *_, **how: merge((), **how), ""),
        ((), "is called, and"),
        (Standby.tail, "its replacement is not"),
    ],
    ids=["a parameter behind", "takes all", "no function", "awaited"],
)
def test_house_a_replacement_that_cannot_be_called_is_noticed(replacement: Any, says: str) -> None:
    """`merge` had got a keyword, and its replacement crashed the node minutes into the run."""
    misfit = Patched(name="merge", original=merge, replacement=replacement).misfit()
    assert says in misfit
    assert bool(says) == bool(misfit)

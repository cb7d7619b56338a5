"""Every broken rule still fits the code, and whoever must notice it is still there.

The breaks themselves take minutes to run; that one of them has lost its text, or a test file that
it names, is known here at once. In the simulations, entering a break is what looks for its text.
"""

from contextlib import ExitStack

import pytest

from tests.broken.registry import VARIANTS
from tests.broken.scripts import CHECKS
from tests.broken.variant import ByTests
from tests.mutation import run as mutation
from tests.sim import test_promise_variants, test_variants
from tests.sim.regressions import REGRESSIONS
from tests.support.edited import ROOT, edited_texts

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
    """A break that does not fit says so when it is entered."""
    with ExitStack() as stack:
        stack.enter_context(BREAKS[name]())

"""A small fixed draw of mutants must all be noticed; the whole score is `make mutants`."""

import random

import pytest

from tests.mutation.equivalent import EQUIVALENT
from tests.mutation.mutator import mutants_of
from tests.mutation.run import MODULES, all_mutants, try_mutant
from tests.support.edited import ROOT

DRAWN = random.Random(2026).sample(all_mutants(["election/machine.py"]), 8)

EXAMPLE = '''
def f(a: int = 3) -> bool:
    """Doc."""
    assert a < 9, "own bug"
    if a >= 2 and not a == 5:
        return max(a, 1) > 1
    raise ValueError(f"{a + 1}")
'''


@pytest.mark.parametrize("mutant", DRAWN, ids=[str(mutant.line) for mutant in DRAWN])
def test_drawn_mutant_of_the_machine_is_noticed(mutant: object) -> None:
    """A random small mistake in the lease machine fails a test or breaks a promise."""
    verdict = try_mutant(mutant)  # type: ignore[arg-type]
    assert verdict.by, verdict.mutant.diff(3)


def test_mutator_changes_behaviour_and_nothing_else() -> None:
    """Assertions, messages and signatures stay; every mutant is one change that compiles."""
    made = mutants_of("example.py", EXAMPLE)
    hows = {mutant.how for mutant in made}
    assert {"compare", "and/or", "drop not", "swap call", "off by one", "return None"} <= hows
    for mutant in made:
        compile(mutant.text, mutant.path, "exec")
        assert "assert a < 9" in mutant.text
        assert "a: int = 3" in mutant.text
        assert 'f"{a + 1}"' in mutant.text
    assert len({mutant.text for mutant in made}) == len(made)


def test_mutator_leaves_alone_what_nobody_can_notice() -> None:
    """None for False, and the very instant of a limit; but not its other side, nor a count."""
    made = mutants_of(
        "example.py",
        "def f(left_s, count):\n"
        "    if left_s <= 0.5:\n"
        "        return False\n"
        "    return count <= 2\n",
    )
    changed = {mutant.key.split(": ", 2)[2] for mutant in made}
    assert "if left_s <= 0.5: -> if left_s >= 0.5:" in changed
    assert "return count <= 2 -> return count < 2" in changed
    assert "if left_s <= 0.5: -> if left_s < 0.5:" not in changed
    assert "return False -> return None" not in changed


def test_listed_equivalents_are_mutants_of_today() -> None:
    """A reason for a mutant that no longer exists hides nothing, but misleads."""
    keys = {
        mutant.key
        for path in MODULES
        for mutant in mutants_of(path, (ROOT / path).read_text("utf-8"))
    }
    assert set(EQUIVALENT) <= keys

"""Every rule is load-bearing: broken, each is noticed; whole, the same runs are clean.

The registered seed is tried first. A change of the code may move what a seed shows without making
the rule less needed: then the first seeds are searched, and a warning asks for the new number
(`make hunt`). `make hunt` looks from seed 0 as far as the registry says.
"""

import warnings

import pytest

from node.demo.stores import find_bundled, find_on_path
from tests.broken.judge import first_shown, run_seed, run_tests
from tests.broken.registry import VARIANTS
from tests.broken.variant import SETUPS, ByTests, InWeather, Kept, Variant
from tests.support.edited import Edit, EditDoesNotFitError, edited_texts

BAND = 150  # seeds that are searched when the registered one shows nothing any more

IN_WEATHER = [v for v in VARIANTS.values() if isinstance(v.proof, InWeather)]
BY_TESTS = [v for v in VARIANTS.values() if isinstance(v.proof, ByTests)]
KEPT = [v for v in VARIANTS.values() if isinstance(v.proof, Kept)]


def names(variants: list[Variant]) -> list[str]:
    return [variant.name for variant in variants]


@pytest.mark.parametrize("variant", IN_WEATHER, ids=names(IN_WEATHER))
def test_broken_rule_is_caught_in_weather(variant: Variant) -> None:
    """The registered seed shows the break, and shows nothing when the rule is whole."""
    proof = variant.proof
    assert isinstance(proof, InWeather)
    texts = edited_texts(variant.edits)
    seed, shown = proof.seed, run_seed(texts, proof.setup, proof.stores, proof.seed)
    if proof.shows not in shown or not shown:
        found = first_shown(texts, proof.setup, proof.stores, range(min(BAND, proof.within)))
        assert found, (
            f"not caught any more; look further: python -m tests.broken.hunt {variant.name}"
        )
        seed, shown = found
        warnings.warn(f"{variant.name}: the seed is {seed} now ({shown})", stacklevel=1)
    assert run_seed({}, proof.setup, proof.stores, seed) == "", "the whole rules break here too"


@pytest.mark.parametrize("variant", BY_TESTS, ids=names(BY_TESTS))
def test_broken_rule_is_caught_by_tests(variant: Variant) -> None:
    """At least one of the named tests fails when the rule is broken."""
    proof = variant.proof
    assert isinstance(proof, ByTests)
    if proof.needs_server and find_on_path("redis-server") is None and find_bundled() is None:
        pytest.skip("no Redis or Valkey server is installed")
    is_caught, output = run_tests(variant.edits, proof)
    assert is_caught, output


@pytest.mark.parametrize("variant", KEPT, ids=names(KEPT))
def test_part_that_no_promise_needs_has_its_reason(variant: Variant) -> None:
    """What is kept without a proof says why; and its edit still fits the code."""
    proof = variant.proof
    assert isinstance(proof, Kept)
    assert len(proof.why) > 40
    assert edited_texts(variant.edits)


def test_edit_that_does_not_fit_is_an_error() -> None:
    """A variant that changes nothing must not look like a rule that is not needed."""
    with pytest.raises(EditDoesNotFitError, match="occurs 0 times"):
        edited_texts([Edit("election/machine.py", "no such text", "")])


def test_registry_is_complete_and_honest() -> None:
    """Every rule and counter-example that can be broken here is named; numbers agree."""
    named = {part.strip() for variant in VARIANTS.values() for part in variant.rules.split(",")}
    # H13 and H14: where the store lives, not a rule of the protocol; named beside two-stores.
    wanted = {f"H{n}" for n in range(1, 19)} | {f"R{n}" for n in range(17)}
    wanted |= {"Kernel fence", "Journal", "Journal and latches", "Absence", "Disk", "Health"}
    wanted |= {"Restored card"}
    assert wanted - named == set()
    for variant in IN_WEATHER:
        assert isinstance(variant.proof, InWeather)
        assert variant.proof.seed < variant.proof.within
        assert variant.proof.setup in SETUPS
    assert all(variant.removed and variant.harm for variant in VARIANTS.values())


@pytest.mark.parametrize("stores", [1, 3])
@pytest.mark.parametrize("setup", SETUPS)
def test_whole_rules_keep_every_promise_in_every_weather(setup: str, stores: int) -> None:
    """The weathers in which broken rules are hunted show nothing when no rule is broken."""
    if setup == "late orders":
        pytest.skip("many messages; its registered seeds are run with the whole rules above")
    assert first_shown({}, setup, stores, range(20_000, 20_008)) is None

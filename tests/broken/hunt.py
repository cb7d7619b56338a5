"""Look for the first seed that shows each broken rule: `python -m tests.broken.hunt [NAME ...]`.

Searches from seed 0; `--limit N` ends a search there, `--setup NAME --stores N` look in another
weather than the registered one. Prints one line a variant. Nothing is written: what was found is
entered in the registry by hand, so that a change of it is read by somebody.
"""

import argparse
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.broken.judge import first_shown, run_tests
from tests.broken.registry import VARIANTS
from tests.broken.variant import ByTests, InWeather
from tests.support.edited import edited_texts


def hunt(name: str, limit: int, setup: str, stores: int) -> str:
    """Search for one variant and describe what was found."""
    variant, began_s = VARIANTS[name], time.monotonic()
    proof = variant.proof
    if isinstance(proof, ByTests) and not setup:
        is_caught, output = run_tests(variant.edits, proof)
        last = [line for line in output.splitlines() if line.strip()][-1:]
        found = f"{'caught' if is_caught else 'NOT CAUGHT'} by {proof.tests[0]}: {last}"
    elif isinstance(proof, InWeather) or setup:
        known = proof if isinstance(proof, InWeather) else None
        setup = setup or (known.setup if known else "hostile")
        stores = stores or (known.stores if known else 1)
        limit = limit or (known.within if known else 1000)
        shown = first_shown(edited_texts(variant.edits), setup, stores, range(limit))
        found = f"'{setup}', {stores} store(s): " + (
            f"seed {shown[0]}: {shown[1]}" if shown else f"NOT CAUGHT in {limit} seeds"
        )
    else:
        found = "kept for its reason"
    return f"{name}: {found} ({time.monotonic() - began_s:.0f} s)"


def main() -> None:
    """Hunt for the named variants, or for all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=[])
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--setup", default="")
    parser.add_argument("--stores", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args()
    names = asked.names or list(VARIANTS)

    def lines() -> Iterator[str]:
        with ProcessPoolExecutor(asked.jobs) as pool:
            jobs = [
                pool.submit(hunt, name, asked.limit, asked.setup, asked.stores) for name in names
            ]
            for job in jobs:
                yield job.result()

    for line in lines():
        print(line, flush=True)  # noqa: T201  (a command line prints)


if __name__ == "__main__":
    main()

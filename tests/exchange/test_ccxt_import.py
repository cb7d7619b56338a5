"""One class imported instead of all: in child processes, because imports cannot be undone."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

MEASURE = """
import json, sys
from exchange.ccxt_import import import_exchange, is_bypassed
{before}
cls = import_exchange("binance")
instance = cls({{"number": str}})
with open("/proc/self/statm") as statm:  # not ru_maxrss: it remembers the parent's size
    pages = int(statm.read().split()[1])
print(json.dumps({{
    "name": cls.__name__,
    "module": cls.__module__,
    "is_bypassed": is_bypassed(),
    "has_kraken": "ccxt.async_support.kraken" in sys.modules,
    "rss": pages,
    "amount": instance.number_to_string("0.1"),
    "errors": sys.modules["ccxt"].BaseError.__module__,
}}))
"""


WITHOUT_TRADING = """
import sys, exchange.venues, exchange.answers, exchange.ccxt_import
assert "ccxt" not in sys.modules and "aiohttp" not in sys.modules
"""


def run_child(before: str = "") -> dict[str, Any]:
    """Import in a fresh interpreter and return what it found."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE.format(before=before)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_one_class_is_imported_and_much_smaller_than_all() -> None:
    """The bypass loads one exchange, and the process stays well below the plain import."""
    one = run_child()
    plain = run_child("import ccxt.async_support")

    assert one["is_bypassed"]
    assert not one["has_kraken"]
    assert one["name"] == plain["name"] == "binance"
    assert plain["has_kraken"]
    assert not plain["is_bypassed"]
    assert one["rss"] < 0.75 * plain["rss"]


def test_failing_bypass_falls_back_to_the_plain_import() -> None:
    """Whatever breaks inside ccxt's internals, trading starts all the same."""
    broken_seed = """
import exchange.ccxt_import as module
def broken():
    import types
    sys.modules["ccxt"] = types.ModuleType("ccxt")
    raise RuntimeError("internals changed")
module._seed = broken
"""
    found = run_child(broken_seed)

    assert found["has_kraken"]
    assert not found["is_bypassed"]


def test_stand_in_that_misses_a_part_falls_back() -> None:
    """A seed that works but leaves the class unable to load is undone as well."""
    empty_seed = """
import exchange.ccxt_import as module
def hollow():
    import types
    for name in ("ccxt", "ccxt.async_support"):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = []
module._seed = hollow
"""
    found = run_child(empty_seed)

    assert found["has_kraken"]
    assert not found["is_bypassed"]


def test_importing_the_package_loads_no_ccxt() -> None:
    """Commands that do not trade stay fast: ccxt comes with the first instance."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            WITHOUT_TRADING,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr

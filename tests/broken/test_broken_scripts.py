"""Every check of the Lua scripts is missed when it is gone, on a real server."""

import re

import pytest

from node.demo.stores import find_bundled, find_on_path
from tests.broken.judge import run_tests_over
from tests.broken.scripts import CHECKS, LUA, NO_CHECKS
from tests.support.edited import ROOT, edited_texts


@pytest.mark.parametrize("name", CHECKS)
def test_removed_check_of_a_script_is_missed(name: str) -> None:
    """R2-R4: at least one test against a real server fails without this check."""
    if find_on_path("redis-server") is None and find_bundled() is None:
        pytest.skip("no Redis or Valkey server is installed")
    check = CHECKS[name]
    is_caught, output = run_tests_over(edited_texts([check.edit]), check.tests)
    assert is_caught, output


def test_every_check_of_every_script_has_its_entry() -> None:
    """A check that is added without anybody who misses it is found here."""
    missing, not_used = [], set(NO_CHECKS)
    for path in sorted((ROOT / LUA).glob("*.lua")):
        removed = [c.edit.old for c in CHECKS.values() if c.edit.path == f"{LUA}/{path.name}"]
        for line in re.findall(r"^ *((?:else)?if .*)$", path.read_text("utf-8"), re.MULTILINE):
            if line in NO_CHECKS:
                not_used.discard(line)
            elif not any(line in old or old in line for old in removed):
                missing.append(f"{path.name}: {line}")
    assert missing == []
    assert not_used == set(), "these lines are gone from the scripts"

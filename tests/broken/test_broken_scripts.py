"""Every check of the Lua scripts is missed when it is gone, on a real server."""

import pytest

from node.demo.stores import find_bundled, find_on_path
from tests.broken.judge import run_tests_over
from tests.broken.scripts import CHECKS
from tests.support.edited import edited_texts


@pytest.mark.parametrize("name", CHECKS)
def test_removed_check_of_a_script_is_missed(name: str) -> None:
    """R2-R4: at least one test against a real server fails without this check."""
    if find_on_path("redis-server") is None and find_bundled() is None:
        pytest.skip("no Redis or Valkey server is installed")
    check = CHECKS[name]
    is_caught, output = run_tests_over(edited_texts([check.edit]), check.tests)
    assert is_caught, output

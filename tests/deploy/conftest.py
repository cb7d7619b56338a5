"""Fixtures of the deploy tests: one home a story; skipped with the reason where no box can boot."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.chaos.lab_space import why_not
from tests.deploy.box_roots import why_no_boxes
from tests.deploy.home import Home, home


class HomeMaker(Protocol):
    """Boots boxes; options as in `home`."""

    def __call__(
        self, *, topology: str = "two-boxes", has_venue: bool = False, **suites: str
    ) -> Home:
        """Boot them; nothing is deployed."""
        ...


@pytest.fixture
def make_home(tmp_path: Path) -> Iterator[HomeMaker]:
    """Boot boxes of the named Debian releases; everything is ended after the test."""
    reason = why_no_boxes() or why_not()
    if reason:
        pytest.skip(reason)
    with contextlib.ExitStack() as stack:
        yield lambda *, topology="two-boxes", has_venue=False, **suites: stack.enter_context(
            home(tmp_path, topology=topology, has_venue=has_venue, **suites)
        )

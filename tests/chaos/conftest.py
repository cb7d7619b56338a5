"""Fixtures of the chaos tests: one lab a test; skipped with the reason where none can be built."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from node.demo.stage import StagePlan
from node.demo.stores import ServerMissing, find_server
from tests.chaos.lab import Lab, running_lab
from tests.chaos.lab_disk import be_private
from tests.chaos.lab_net import Net
from tests.chaos.lab_space import why_not
from tests.support.pair import plan_of


class LabMaker(Protocol):
    """Builds a lab from a plan; options as in `running_lab`."""

    def __call__(self, plan: StagePlan, **options: Any) -> Lab:
        """Start stores, venue and phone; no node runs yet."""
        ...


@pytest.fixture(scope="session")
def lab_here() -> None:
    """Skip where no lab can be built."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    try:
        find_server()
    except ServerMissing as error:
        pytest.skip(str(error))
    # Before any thread starts that must see the small disks of this process.
    be_private()


@pytest.fixture
def make_lab(tmp_path: Path, lab_here: None) -> Iterator[LabMaker]:
    """Build a lab from a plan; everything is ended after the test."""
    with contextlib.ExitStack() as stack:
        yield lambda plan, **options: stack.enter_context(running_lab(tmp_path, plan, **options))


@pytest.fixture
def lab(make_lab: LabMaker) -> Lab:
    """Build the usual lab: three stores, grid and mover; no node runs yet."""
    return make_lab(plan_of())


@pytest.fixture
def two_boxes(make_lab: LabMaker) -> Lab:
    """Build the lab of two boxes and nothing else: one store, on the Pi; no node runs yet."""
    return make_lab(plan_of(stores=1))


@pytest.fixture
def net(lab_here: None) -> Iterator[Net]:
    """Build three hosts on a switch, without anything that runs on them."""
    with Net(("a", "b", "c")) as net:
        yield net

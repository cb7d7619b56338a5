"""Fixtures of the end-to-end tests: one stage a test, in its own directory."""

import contextlib
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pytest

from node.demo.stage import StagePlan
from node.demo.stores import ServerMissing, find_server
from tests.support.pair import Pair, plan_of, running_pair


class PairMaker(Protocol):
    """Builds a stage from a plan, with further strategy files beside the configuration."""

    def __call__(self, plan: StagePlan, files: Mapping[str, str] | None = None) -> Pair:
        """Start stores and venue; no node runs yet."""
        ...


@pytest.fixture
def make_pair(tmp_path: Path) -> Iterator[PairMaker]:
    """Build a stage from a plan; everything is ended after the test."""
    try:
        find_server()
    except ServerMissing as error:
        pytest.skip(str(error))
    with contextlib.ExitStack() as stack:
        yield lambda plan, files=None: stack.enter_context(running_pair(tmp_path, plan, files))


@pytest.fixture
def pair(make_pair: PairMaker) -> Pair:
    """Build the usual stage: three stores, grid and mover; no node runs yet."""
    return make_pair(plan_of())


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mount small file systems of their own; skip where this user may not."""
    made: list[Path] = []

    def mount(folder: Path, options: str) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"mounting a small file system needs root: {done.stderr.strip()}")
        made.append(folder)
        return folder

    yield mount
    for folder in made:
        subprocess.run(["umount", "-l", str(folder)], check=True)

"""One paper exchange for many tests, and a fresh one for those that need it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from exchange.paper.process import PaperProcess
from tests.support.paper_server import RawClient, paper_process


@pytest.fixture(scope="module")
def shared_paper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaperProcess]:
    """A running exchange that the tests of one module share; each uses its own order ids."""
    with paper_process(tmp_path_factory.mktemp("paper")) as paper:
        yield paper


@pytest.fixture
def paper(tmp_path: Path) -> Iterator[PaperProcess]:
    """A running exchange of one test."""
    with paper_process(tmp_path) as paper:
        yield paper


@pytest.fixture
def client(paper: PaperProcess) -> RawClient:
    """A client of that exchange."""
    return RawClient(paper)

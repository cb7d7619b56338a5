"""A fresh paper exchange for each test that asks for one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from exchange.paper.process import PaperProcess
from tests.support.paper_server import RawClient, paper_process


@pytest.fixture
def paper(tmp_path: Path) -> Iterator[PaperProcess]:
    """A running exchange of one test."""
    with paper_process(tmp_path) as paper:
        yield paper


@pytest.fixture
def client(paper: PaperProcess) -> RawClient:
    """A client of that exchange."""
    return RawClient(paper)

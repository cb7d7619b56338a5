"""Fixtures of this package's tests: real lease stores, and puppets that beat there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.demo.stores import ServerMissing, StoreServer, find_server
from tests.support.puppet_pair import Puppets, running_puppets, running_stores, write_config


@pytest.fixture(scope="module")
def servers() -> Iterator[list[StoreServer]]:
    """Three real store servers."""
    try:
        find_server()
    except ServerMissing as missing:
        pytest.skip(str(missing))
    with running_stores(3) as found:
        yield found


@pytest.fixture
def pair(servers: list[StoreServer], tmp_path: Path) -> Iterator[Puppets]:
    """A pair that beats; the stores are empty before."""
    for server in servers:
        server.restart()
    with running_puppets(write_config(tmp_path, servers)) as puppets:
        yield puppets

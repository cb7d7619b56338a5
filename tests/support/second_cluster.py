"""A second cluster on a stage that is already there: other nodes, the same stores and venue."""

from pathlib import Path
from typing import Self

from exchange.paper.process import PaperProcess
from node.demo.stage import Stage, StagePlan
from node.demo.stores import ServerProgram, StoreServer
from tests.support.pair import MOVER, MOVER_FILE


class SecondCluster(Stage):
    """Nodes of another cluster beside those of `beside`, whose keys at the venue they use."""

    def __init__(self, directory: Path, plan: StagePlan, *, beside: Stage) -> None:
        """Write nothing yet; the plan's profile or name must differ from the first cluster's."""
        self._beside = beside
        directory.mkdir(parents=True, exist_ok=True)
        (directory / MOVER_FILE).write_text(MOVER)
        super().__init__(directory, plan)
        self.store_password = beside.store_password

    def __enter__(self) -> Self:
        """Write what the nodes need; stores and venue run already."""
        self._write_cluster()
        return self

    def close(self) -> None:
        """End the nodes; stores and venue are the first cluster's."""
        for node in self.nodes.values():
            node.stop()

    def build_store(self, name: str, program: ServerProgram) -> StoreServer:
        """Return the first cluster's store of that name."""
        del program
        return next(store for store in self._beside.stores if store.name == name)

    def _build_paper(self) -> PaperProcess:
        return self._beside.paper

    def _key(self, node: str, what: str) -> str:
        return self._beside._key(node, what)

"""The stage on several hosts: the same nodes, stores and venue as the demo's, each on its box.

Rules of this file: it says where things run and nothing else. Nodes know LAN addresses only; the
test looks and steers from the desk's wire, which no fault touches (lab_net.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from election.promise import NOTHING_PROMISED
from election.promise_file import DiskPromiseFile
from node.demo.node_process import NodeProcess
from node.demo.stage import NODES, Stage, StagePlan
from node.demo.stores import ServerProgram, StoreServer
from node.state_files import PROMISE_FILE
from tests.chaos.lab_net import Net

EVERYWHERE = "0.0.0.0"
VENUE_HOST, PHONE_HOST = "venue", "phone"
TOPOLOGIES = {1: "two-boxes", 3: "three-stores"}


class LabNode(NodeProcess):
    """A node whose host has an environment of its own."""

    environ: Mapping[str, str] = MappingProxyType({})

    def start(
        self, environ: Mapping[str, str] | None = None, *, config: Path | None = None
    ) -> Self:
        """Start it with its host's environment and what is given."""
        return super().start({**self.environ, **(environ or {})}, config=config)


class LabStage(Stage):
    """Nodes and stores on the hosts that they are named after, the paper exchange on `venue`."""

    def __init__(
        self,
        directory: Path,
        plan: StagePlan,
        net: Net,
        *,
        environ: Mapping[str, Mapping[str, str]] | None = None,
        store_options: Mapping[str, str] | None = None,
    ) -> None:
        """Write the configuration; nothing runs yet.

        Args:
            directory: where everything lies.
            plan: what to build; its topology follows from the number of stores.
            net: the hosts, already connected.
            environ: further environment of what runs on a host, by host.
            store_options: further configuration lines of every store.
        """
        self.net = net
        self.environ = dict(environ or {})
        self.shell_host = "raspberrypi"
        self._store_options = dict(store_options or {})
        super().__init__(directory, replace(plan, topology=TOPOLOGIES[plan.stores]))
        self.paper.prefix = net[VENUE_HOST].space.prefix
        self.paper.reached_at = net[VENUE_HOST].desk_address

    def __enter__(self) -> Self:
        """Start what a lab needs; two boxes alone have been asked about promises before.

        What a card without that memory does has a test of its own (test_new_card.py).
        """
        super().__enter__()
        if self.plan.stores == 1:
            for node in NODES:
                folder = self.directory / "state" / node
                folder.mkdir(parents=True, exist_ok=True)
                DiskPromiseFile(folder / PROMISE_FILE).store(NOTHING_PROMISED)
        return self

    def peer_host(self, node_id: str) -> str:
        """Return a box's LAN address."""
        return self.net[node_id].address

    def build_store(self, name: str, program: ServerProgram) -> StoreServer:
        """Return a store server on its host."""
        host = self.net[name]
        store = StoreServer(
            name,
            program=program,
            password=self.store_password,
            options={"bind": EVERYWHERE, **self._store_options},
            prefix=host.space.prefix,
            environ=self.environ.get(name, {}),
        )
        store.host = host.desk_address
        return store

    def build_node(self, node_id: str) -> NodeProcess:
        """Return a node on its host."""
        node = LabNode(self.config_path, node_id, prefix=self.net[node_id].space.prefix)
        node.environ = self.environ.get(node_id, {})
        return node

    def paper_options(self) -> dict[str, Any]:
        """Let the venue listen on its host's addresses, and be steered from the desk."""
        return {**super().paper_options(), "host": EVERYWHERE, "has_remote_admin": True}

    def store_host(self, store: StoreServer) -> str:
        """Return the store's LAN address."""
        return self.net[store.name].address

    def venue_url(self) -> str:
        """Return the venue's LAN address."""
        return f"http://{self.net[VENUE_HOST].address}:{self.paper.port}"

    def shell(self) -> Sequence[str]:
        """Type commands on one of the boxes."""
        return self.net[self.shell_host].space.prefix

    def store(self, name: str) -> StoreServer:
        """Return the store on a host."""
        return next(store for store in self.stores if store.name == name)

    def pids(self, host: str) -> tuple[int, ...]:
        """Return the processes that run on a box: its node and its store."""
        nodes = [n.pid for n in self.nodes.values() if n.node_id == host and n.is_running]
        return (*nodes, *(s.pid for s in self.stores if s.name == host and s.is_running))

    def unplugged(self, host: str) -> None:
        """Take note that the processes of a host were ended, so that they can be started anew."""
        for node in self.nodes.values():
            if node.node_id == host and node.process is not None:
                node.wait()
        for store in self.stores:
            if store.name == host:
                store.kill()

    def replugged(self, host: str) -> None:
        """Start what runs on a host again in its new network: its store, empty. Not its node."""
        prefix = self.net[host].space.prefix
        for node in self.nodes.values():
            if node.node_id == host:
                node.prefix = prefix
        for store in self.stores:
            if store.name == host:
                store.prefix = prefix
                store.restart()

"""A healthy holder next to whatever a test breaks: variants of a node, and what must never show.

Built on the demo's stage and story. A variant is another node process with its own edited copy of
the configuration and of its secrets, in its own folder; the stage's own files stay as they were.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from election.model import NodeId
from election.peek import merged_members
from node.demo.checker import check_run, load_run, render
from node.demo.node_process import NodeProcess
from node.demo.stage import CLUSTER, NODES, Stage, StagePlan, StageTimeout, StrategyPart
from node.demo.story import Story

JETSON, PI = NODES
MOVER_FILE = "mover.py"
# Moves one resting order with every candle, far below the market: there is always activity.
MOVER = """
from decimal import Decimal

from exchange.model import Side
from strategy.model import Decision, Declaration, DesiredOrder, Evidence

STRATEGY = Declaration(
    name="mover",
    version="1",
    symbols=("BTC/USDT",),
    timeframe="1m",
    history=1,
    parameters={},
    doc="One order that moves.",
)


def decide(market, portfolio, state):
    step = market.rules.price_step
    price = market.candles[-1].close * Decimal("0.97") // step * step
    order = DesiredOrder(tag="m", side=Side.BUY, amount=Decimal("0.001"), price=price)
    seen = Evidence(condition="always", value=str(price), threshold="none", has_fired=True)
    return Decision(orders=(order,), state={}, evidence=(seen,), reason="follow the close")
"""
WAIT_S = 45.0


def mover_plan(**changes: Any) -> StagePlan:
    """Return a plan with one strategy that moves one order every 1.5 seconds."""
    part = StrategyPart(
        use=MOVER_FILE,
        symbol="BTC/USDT",
        paper={"seed": "bad", "speed": 40.0, "warmup": 60, "start_price": "40000", "volume": "20"},
    )
    fields: dict[str, Any] = {
        "parts": (part,),
        "balances": {"USDT": "10000"},
        "risk": {"max_orders_per_minute": 200},
    }
    return StagePlan(**{**fields, **changes})


@dataclass(slots=True, kw_only=True)
class Said:
    """What a command ended with."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Everything that it wrote."""
        return self.out + self.err

    def names(self, *words: str) -> None:
        """Check that each of the words is said."""
        text = " ".join(self.text.lower().split())  # a status wraps at 80 columns
        missing = [w for w in words if w.lower() not in text]
        assert not missing, f"{missing} not in:\n{self.text}"


@dataclass(slots=True)
class Trial:
    """A stage, and what tests of bad input ask about it."""

    stage: Stage
    story: Story = field(init=False)
    variants: list[NodeProcess] = field(default_factory=list)
    known_secrets: set[str] = field(default_factory=set)
    _shown: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Know the secrets of the stage."""
        self.story = Story(stage=self.stage, write=print)
        self.learn_secrets(self.stage.directory)

    # --- acts --------------------------------------------------------------------------------

    def variant(
        self,
        name: str,
        *,
        config: Callable[[str], str] = str,
        secrets: Callable[[str], str] = str,
        node_id: str = PI,
    ) -> NodeProcess:
        """Write an edited copy of configuration and secrets; return the node, not started."""
        folder = self.stage.directory / name
        (folder / "secrets").mkdir(parents=True, mode=0o700)
        for file in self.stage.directory.glob("*.py"):
            shutil.copy(file, folder)
        (folder / "cluster.toml").write_text(config(self.stage.config_path.read_text()))
        original = self.stage.directory / "secrets" / f"{node_id}.toml"
        write_private(folder / "secrets" / f"{node_id}.toml", secrets(original.read_text()))
        self.learn_secrets(folder)
        node = NodeProcess(folder / "cluster.toml", node_id)
        self.variants.append(node)
        return node

    def nodectl(self, *arguments: str, folder: Path | None = None, timeout_s: float = 60.0) -> Said:
        """Run a verb in the stage's folder or a variant's, as a user would."""
        done = subprocess.run(
            [sys.executable, "-m", "node.cli.main", *arguments],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            cwd=folder or self.stage.directory,
            env={**os.environ, "COLUMNS": "80", "NO_COLOR": "1"},
            check=False,
        )
        self._shown.append(done.stdout + done.stderr)
        assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
        return Said(code=done.returncode, out=done.stdout, err=done.stderr)

    def run_refused(self, node: NodeProcess, **options: Any) -> Said:
        """Start a node that must end by itself; return what its console shows."""
        before = node.console.stat().st_size if node.console.exists() else 0
        node.start(**options)
        code = node.wait(WAIT_S)
        text = node.console.read_bytes()[before:].decode("utf-8", "replace")
        assert "Traceback" not in text, text
        return Said(code=code, out="", err=text)

    def start_holder(self) -> None:
        """Let the Jetson trade."""
        self.start(self.stage.nodes[JETSON])
        self.stage.wait_role(JETSON, "active", timeout_s=WAIT_S)
        self.wait_order(JETSON)

    def start(self, node: NodeProcess) -> NodeProcess:
        """Start a node and wait until it stands by."""
        seen = len(self.roles(node))
        node.start()
        self.wait(lambda: "standby" in self.roles(node)[seen:], f"{node.node_id} to stand by", node)
        return node

    # --- looking -----------------------------------------------------------------------------

    def roles(self, node: NodeProcess) -> list[str]:
        """Return the roles that a node took, oldest first."""
        return [str(e["to"]) for e in node.events("role.changed")]

    def reasons(self, node_id: str) -> str:
        """Return why the node says it does not contend, from the member board."""
        found = merged_members(self.stage.peek()).get(NodeId(node_id))
        listed = None if found is None else found.body.get("reasons")
        return "; ".join(str(r) for r in listed) if isinstance(listed, list) else ""

    def requests(self, key: str, *, since: int = 0) -> list[dict[str, Any]]:
        """Return the requests of one key that could change something."""
        return [
            line
            for line in self.stage.requests()[since:]
            if line["type"] == "request" and line["key"] == key
        ]

    def wait(
        self,
        condition: Callable[[], Any],
        what: str,
        *nodes: NodeProcess,
        timeout_s: float = WAIT_S,
    ) -> Any:
        """Wait until the condition gives something true; a variant's console is shown if not."""
        try:
            return self.stage.wait_for(condition, what, timeout_s=timeout_s)
        except StageTimeout as error:
            for node in nodes:
                error.add_note(node.console.read_text("utf-8", "replace")[-4000:])
            raise

    def wait_event(self, node: NodeProcess, name: str, **fields: Any) -> dict[str, Any]:
        """Wait for an event of a node in which the fields have these values."""

        def found() -> dict[str, Any] | None:
            fitting = (
                e for e in node.events(name) if all(e.get(k) == v for k, v in fields.items())
            )
            return next(fitting, None)

        return dict(self.wait(found, f"{name} of {node.node_id} {fields or ''}", node))

    def wait_reason(self, node_id: str, *words: str, node: NodeProcess | None = None) -> str:
        """Wait until the member board says with these words why a node is not eligible."""
        watched = () if node is None else (node,)

        def said() -> str:
            text = self.reasons(node_id)
            return text if all(w.lower() in text.lower() for w in words) else ""

        return str(self.wait(said, f"{node_id} to say {words}", *watched))

    def wait_spare(self, node_id: str) -> None:
        """Wait until the node is a fit spare."""
        self.story.wait_spare(node_id)

    def wait_order(self, node_id: str) -> None:
        """Wait for an order of the node that is accepted from now on."""
        before = len(self.stage.requests())
        self.wait(
            lambda: any(
                r["method"] == "POST" and r["outcome"] == "accepted"
                for r in self.requests(node_id, since=before)
            ),
            f"an order of {node_id}",
        )

    # --- judging -----------------------------------------------------------------------------

    @contextlib.contextmanager
    def holder_unharmed(self, holder: str = JETSON, *, spare_sends: bool = False) -> Iterator[None]:
        """Check around a block: the holder keeps role and epoch, trades on, nobody else sends."""
        node = self.stage.nodes[holder]
        roles, grants = self.roles(node), len(node.events("lease.granted"))
        before = len(self.stage.requests())
        yield
        self.wait_order(holder)
        assert self.roles(node) == roles
        assert len(node.events("lease.granted")) == grants
        assert node.is_running
        if not spare_sends:
            assert not [r for n in NODES if n != holder for r in self.requests(n, since=before)]

    def learn_secrets(self, folder: Path) -> None:
        """Remember every value in the secrets files of a folder."""
        for path in (folder / "secrets").glob("*.toml"):
            with contextlib.suppress(tomllib.TOMLDecodeError):
                self.known_secrets.update(_leaves(tomllib.loads(path.read_text())))

    def end_all_but(self, node_id: str) -> None:
        """End every node of the stage and every variant, except one of the stage's own."""
        for node in (*self.variants, *self.stage.nodes.values()):
            if node is not self.stage.nodes[node_id]:
                node.stop()

    def assert_no_secret(self) -> None:
        """No secret is in any output, log, state or configuration file of the stage."""
        for text in self._shown:
            assert not [s for s in self.known_secrets if s in text], "a secret was printed"
        own = {self.stage.directory / "paper" / "accounts.json"}
        for path in self.stage.directory.rglob("*"):
            if path.is_file() and path.parent.name != "secrets" and path not in own:
                text = path.read_text("utf-8", "replace")
                assert not [s for s in self.known_secrets if s in text], f"a secret is in {path}"

    def judge(self) -> None:
        """Close the market, end everything, read the logs (S1-S4), and look for secrets."""
        for node in self.variants:
            node.stop()
        self.stage.paper.clear_faults()
        self.story.close()
        nodes = (*self.stage.nodes.values(), *self.variants)
        logs = [n.log_path for n in nodes if n.log_path.exists()]
        verdict = check_run(load_run(self.stage.paper.log_path, logs))
        assert verdict.holds, render(verdict)
        for node in nodes:
            if node.console.exists():
                assert "Traceback" not in node.console.read_text("utf-8", "replace")
        self.assert_no_secret()

    # --- stores ------------------------------------------------------------------------------

    def redis(self, place: int = 0) -> Any:
        """Return a client of one store, as a person with the password would have."""
        store = self.stage.stores[place]
        return redis.Redis(
            host=store.host,
            port=store.port,
            password=self.stage.store_password,
            decode_responses=True,
            protocol=2,
        )

    def key(self, name: str) -> str:
        """Return the full name of one of the cluster's keys."""
        return f"hotspare:{{{self.stage.plan.profile}-{CLUSTER}}}:{name}"


@contextlib.contextmanager
def running_trial(directory: Path, plan: StagePlan) -> Iterator[Trial]:
    """Build the stage with its strategy file; end every process when the block ends."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / MOVER_FILE).write_text(MOVER)
    with Stage(directory, plan) as stage:
        trial = Trial(stage)
        try:
            yield trial
        finally:
            for node in trial.variants:
                node.stop()


def write_private(path: Path, text: str) -> None:
    """Write a file that only this user can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def changed(old: str, new: str) -> Callable[[str], str]:
    """Return an edit that replaces text which must be there."""

    def edit(text: str) -> str:
        assert old in text, f"{old!r} is not in the file"
        return text.replace(old, new)

    return edit


def added(text: str) -> Callable[[str], str]:
    """Return an edit that appends text."""
    return lambda before: f"{before}\n{text}\n"


def _leaves(tree: Mapping[str, Any]) -> Iterator[str]:
    for value in tree.values():
        if isinstance(value, Mapping):
            yield from _leaves(value)
        else:
            yield str(value)

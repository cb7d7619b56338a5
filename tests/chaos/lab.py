"""The lab: a cluster on hosts of its own, to break and to judge.

```python
with running_lab(tmp_path, plan_of()) as lab:
    lab.pair.open()                # jetson trades, raspberrypi is its spare
    proof = lab.pull("jetson")     # cable first, then SIGKILL: no FIN reached anybody
    lab.pair.wait_active("raspberrypi")
    lab.plug("jetson")
    lab.judge()
```

Rules of this file: every host is a network namespace, everything else is real: processes, Redis,
sockets, signals. Not real: one kernel, one clock, one disk, a network without radio.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from node.demo.stage import NODES, StagePlan
from node.demo.story import JETSON, PI
from tests.chaos.lab_judge import FenceWatch, find_overlaps
from tests.chaos.lab_net import Net, PullProof
from tests.chaos.lab_stage import EVERYWHERE, PHONE_HOST, VENUE_HOST, LabStage
from tests.support.pair import MOVER, MOVER_FILE, BotApiThread, Pair

WITNESS = "witness"
CHAT = 42
LOOK_S = 0.2


@dataclass(slots=True)
class Lab:
    """Hosts, what runs on them, and the fence watch that judges permits."""

    net: Net
    stage: LabStage
    telegram: BotApiThread
    fences: FenceWatch
    pair: Pair = field(init=False)
    pulled: list[PullProof] = field(init=False, default_factory=list)
    # How far a node's wall clock stood off when it was granted a lease.
    clock_offsets_s: Mapping[str, float] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Ask and wait as the end-to-end tests do."""
        self.pair = Pair(self.stage)

    # --- acts --------------------------------------------------------------------------------

    def pull(self, host: str) -> PullProof:
        """Pull a box's plug: its node and its store go, and nobody sees a connection close."""
        if self.stage.shell_host == host:
            self.stage.shell_host = JETSON if host == PI else PI
        proof = self.net.pull(host, self.stage.pids(host))
        self.stage.unplugged(host)
        self.pulled.append(proof)
        assert proof.is_silent, proof
        return proof

    def plug(self, host: str, *, with_node: bool = True) -> None:
        """Plug a box in again: empty store, empty network stack, the disk as it was."""
        self.net.plug(host)
        self.stage.replugged(host)
        if with_node and host in NODES:
            self.pair.start(host)

    def open_anew(self) -> int:
        """Open the pair once more after the Jetson had ended; return the new epoch."""
        granted = len(self.pair.epochs(JETSON))
        self.pair.start(JETSON)
        self.pair.wait(lambda: len(self.pair.epochs(JETSON)) > granted, "a new epoch")
        self.pair.wait(lambda: self.leader() == JETSON, "the Jetson to trade")
        self.pair.start(PI)
        self.pair.story.wait_spare(PI)
        self.pair.wait_resting()
        return self.pair.epochs(JETSON)[-1]

    # --- looking -----------------------------------------------------------------------------

    def leader(self) -> str:
        """Return the running node that trades, empty when none does."""
        active = (n for n in NODES if self.stage.nodes[n].is_running and self.pair.is_active(n))
        return next(active, "")

    def spare(self) -> str:
        """Return the node that does not lead."""
        return PI if self.leader() == JETSON else JETSON

    def last_log_s(self, node: str) -> float:
        """Return the Unix time of a node's newest log line, by its own wall clock."""
        lines = self.stage.nodes[node].events()
        return datetime.fromisoformat(str(lines[-1]["ts"])).timestamp()

    def wait_phone(self, words: str) -> str:
        """Wait until a message with these words in its headline is on the phone; return it."""
        found = self.pair.wait(
            lambda: next(
                (t for t in self.telegram.api.texts if words in t.splitlines()[0].lower()), None
            ),
            f"a message that says {words!r}",
        )
        return str(found)

    def role_changes(self) -> list[tuple[str, str, str]]:
        """Return all role changes so far: node, from, to."""
        return [
            (n, str(e["from"]), str(e["to"]))
            for n in NODES
            for e in self.pair.events(n, "role.changed")
        ]

    def hold_still(self, for_s: float) -> None:
        """Let time pass, and fail at the first role change."""
        before = self.role_changes()
        end_s = time.monotonic() + for_s
        while time.monotonic() < end_s:
            after = self.role_changes()
            assert after == before, f"{after[len(before) :]}\n{self.stage.last_words()}"
            time.sleep(LOOK_S)

    def hold_idle(self, for_s: float) -> None:
        """Let time pass while nobody may trade, and fail if somebody does."""
        self.pair.wait(lambda: not self.leader(), "nobody to trade")
        sent = len(self.pair.requests())
        end_s = time.monotonic() + for_s
        while time.monotonic() < end_s:
            assert not self.leader(), self.stage.last_words()
            assert len(self.pair.requests()) == sent
            time.sleep(LOOK_S)

    def wait_next(self, old: str) -> str:
        """Wait until the other node leads and sends, and return it."""
        heir = PI if old == JETSON else JETSON
        self.pair.wait(lambda: self.leader() == heir, f"{heir} to trade")
        self.pair.wait_order(heir)
        return heir

    def wait_pair(self) -> None:
        """Wait until one node leads and the other is its fit spare."""
        self.pair.wait(self.leader, "a leader")
        self.pair.story.wait_spare(self.spare())

    # --- judging -----------------------------------------------------------------------------

    def judge(self) -> None:
        """Heal everything, end the nodes in order, and let logs and fences testify."""
        self.net.heal()
        self.net.clear()
        self.pair.judge()
        self.judge_permits()
        self.judge_telling()

    def judge_permits(self) -> None:
        """S1 on the one clock that all hosts share: a grant comes after the older permit's end."""
        grants = {node: self.pair.events(node, "lease.granted") for node in NODES}
        for node, reports in ((n, self.pair.events(n, "takeover.finished")) for n in NODES):
            unseen = [e["epoch"] for e in reports if (node, e["epoch"]) not in self.fences.ends]
            assert not unseen, f"the fences of epochs {unseen} of {node} were never seen"
        problems = find_overlaps(grants, self.fences.ends, self.clock_offsets_s)
        assert not problems, "\n".join(problems)

    def judge_telling(self) -> None:
        """S5: what was delivered reached the phone, each headline of a takeover once."""
        texts = [text.splitlines()[0] for text in self.telegram.api.texts]
        for node in NODES:
            for report in self.pair.events(node, "takeover.finished"):
                epoch = report["epoch"]
                tail = f"epoch {epoch} · {node}"
                told = [t for t in self.telegram.api.texts if tail in t and _is_takeover(t)]
                assert len(told) == 1, f"takeover of {tail}: told {len(told)} times in {texts}"


def _is_takeover(text: str) -> bool:
    headline = text.splitlines()[0]
    return "trades now" in headline or "no node ran" in headline


@contextlib.contextmanager
def running_lab(
    directory: Path,
    plan: StagePlan,
    *,
    files: Mapping[str, str] | None = None,
    environ: Mapping[str, Mapping[str, str]] | None = None,
    store_options: Mapping[str, str] | None = None,
) -> Iterator[Lab]:
    """Build hosts, stores, venue and phone; no node runs yet. Everything ends with the block.

    The calling thread sits at the desk for the length of the block: what it connects to, and the
    threads it starts, use the desk's wire.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in {MOVER_FILE: MOVER, **(files or {})}.items():
        (directory / name).write_text(text)
    boxes = (*NODES, WITNESS) if plan.stores == 3 else NODES
    with contextlib.ExitStack() as stack:
        net = stack.enter_context(Net((*boxes, VENUE_HOST, PHONE_HOST)))
        with net[PHONE_HOST].space.entered():
            telegram = stack.enter_context(BotApiThread(host=EVERYWHERE))
        stack.enter_context(net.hub.entered())
        url = f"http://{net[PHONE_HOST].address}:{telegram.api.port}"
        secret = f'[telegram]\ntoken = "{telegram.api.token}"\n'
        told = replace(
            plan,
            extra_toml=f'{plan.extra_toml}\n[telegram]\nchat_id = {CHAT}\napi_url = "{url}"\n',
            secrets_toml={n: plan.secrets_toml.get(n, "") + secret for n in NODES},
        )
        stage = LabStage(directory, told, net, environ=environ, store_options=store_options)
        fences = stack.enter_context(FenceWatch({n: stage.nodes[n].log_path for n in NODES}))
        stack.enter_context(stage)
        yield Lab(net, stage, telegram, fences)

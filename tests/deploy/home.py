"""An owner's home: boxes on one switch, a phone, and the laptop from which `make` is called.

With a `venue` the paper exchange is on the phone's host, so that no pulled plug takes it along and
its log is at hand, and the strategy is a file of the owner's own; without one it is where a first
deployment puts it, on the Pi.

Rules of this file: the laptop reaches boxes by real SSH over the test's own wire; boxes reach each
other, and the Bot API server, over the switch where cables can be pulled. Everything is deployed
by the same `make` targets that an owner types.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exchange.paper.process import PaperAccount, PaperKey, PaperProcess
from tests.chaos.lab_net import Net
from tests.deploy.box_roots import USER, cache_folder, python_archive
from tests.deploy.boxes import Box, boxes_on
from tests.support.pair import MOVER, MOVER_FILE, BotApiThread

ROOT = Path(__file__).parents[2]
JETSON, PI, WITNESS, PHONE = "jetson", "raspberrypi", "witness", "phone"
CHAT = 42
SYMBOL, MOVED = "ETH/USDT", "BTC/USDT"
MAKE_S = 1500.0
DEADLINE_S = 180.0
POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Made:
    """What a `make` printed, and how it ended."""

    code: int
    said: str


@dataclass(slots=True)
class Home:
    """Boxes, phone, laptop."""

    net: Net
    boxes: dict[str, Box]
    telegram: BotApiThread
    folder: Path
    environ: dict[str, str] = field(repr=False)
    venue: PaperProcess | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret of the cluster's folder."""
        texts = [p.read_text() for p in (self.cluster / "secrets").glob("*.toml")]
        found = [re.findall(r'(?m)^\w+ = "([^"]{8,})"', text) for text in texts]
        return tuple(dict.fromkeys(value for values in found for value in values))

    @property
    def cluster(self) -> Path:
        """The folder with cluster.toml."""
        return self.folder / "cluster"

    def make(self, target: str, checkout: Path, variables: Mapping[str, str]) -> Made:
        """Type `make TARGET NAME=value ...` in a checkout and return what came of it."""
        words = [f"{name}={value}" for name, value in variables.items()]
        done = subprocess.run(
            ["make", "-s", target, f"CLUSTER={self.cluster}", *words],
            cwd=checkout,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=MAKE_S,
            check=False,
        )
        return Made(done.returncode, done.stdout)

    def break_off(self, target: str, words: str, **variables: str) -> str:
        """Type it, and lose the laptop once a line with these words is printed: no trap runs.

        Raises:
            AssertionError: it ended before that.
        """
        listed = [f"{name}={value}" for name, value in variables.items()]
        process = subprocess.Popen(
            ["make", "-s", target, f"CLUSTER={self.cluster}", *listed],
            cwd=ROOT,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert process.stdout is not None
        said: list[str] = []
        for line in process.stdout:
            said.append(line)
            if words in line:
                break
        ended = process.poll()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(MAKE_S)
        assert ended is None, f"make {target} ended before {words!r}:\n{''.join(said)}"
        return "".join(said)

    def must(self, target: str, **variables: str) -> str:
        """Type it, expect success, and return what it printed."""
        made = self.make(target, ROOT, variables)
        assert made.code == 0, f"make {target} → {made.code}\n{made.said}"
        return made.said

    def node_logs(self) -> list[Path]:
        """Fetch the nodes' logs from their boxes."""
        found = []
        for name in (JETSON, PI):
            path = self.folder / f"{name}.jsonl"
            where = f"/var/lib/hotspare/{name}/log"
            path.write_text(
                self.boxes[name].run(f"cat {where}/*.jsonl.* {where}/*.jsonl 2>/dev/null || :")
            )
            found.append(path)
        return found

    def fresh_card(self, name: str) -> Path:
        """Put a fresh card into a box that is off, switch it on, and return the old one's log."""
        log = self.folder / f"{name}-before.jsonl"
        shutil.copy(self.boxes[name].card / f"var/lib/hotspare/{name}/log/node.jsonl", log)
        self.boxes[name].wipe()
        self.boxes[name].plug()
        # ssh-keygen -R: another card is another host
        (self.folder / "known_hosts").unlink()
        return log

    def requests(self) -> list[dict[str, Any]]:
        """Return the log of the paper exchange."""
        assert self.venue is not None
        return [json.loads(line) for line in self.venue.log_path.read_text().splitlines()]

    def status(self, name: str) -> dict[str, Any]:
        """Return `nodectl status --json` of a box; {} when it says nothing."""
        said = self.boxes[name].ssh("nodectl status --json", timeout_s=60).stdout
        try:
            found = json.loads(said)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def leader(self, asked: str) -> str | None:
        """Return who leads, as one box sees it."""
        return self.status(asked).get("holder")

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Wait until it holds."""
        end_s = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < end_s, f"in vain: {what}\n{self.told()}"
            time.sleep(POLL_S)

    def wait_trading(self, asked: str, leader: str | None = None) -> str:
        """Wait until the pair trades with a spare; return who leads."""
        seen: dict[str, Any] = {}

        def is_there() -> bool:
            seen.update(self.status(asked))
            is_well = seen.get("verdict") == "trading" and bool(seen.get("spares"))
            return is_well and leader in {None, seen.get("holder")}

        self.wait(is_there, f"{leader or 'somebody'} leads with a spare")
        return str(seen["holder"])

    def told(self) -> str:
        """Return the headlines on the phone."""
        return "\n".join(m.text.splitlines()[0] for m in self.telegram.api.messages)

    def wait_message(self, words: str) -> str:
        """Wait for a message with these words in its headline; return it."""
        found: list[str] = []

        def is_there() -> bool:
            found.extend(
                m.text for m in self.telegram.api.messages if words in m.text.split("\n")[0]
            )
            return bool(found)

        self.wait(is_there, f"a message about {words!r}")
        return found[-1]


@contextlib.contextmanager
def home(
    folder: Path, *, topology: str = "two-boxes", has_venue: bool = False, **suites: str
) -> Iterator[Home]:
    """Boot the boxes (name=Debian release), set up a cluster for them; nothing is deployed."""
    names = (*suites, PHONE)
    with contextlib.ExitStack() as stack:
        net = stack.enter_context(Net(names))
        with net[PHONE].space.entered():
            telegram = stack.enter_context(BotApiThread(host="0.0.0.0"))
        venue = stack.enter_context(_venue(net, folder / "venue")) if has_venue else None
        boxes = stack.enter_context(boxes_on(net, folder / "boxes", **suites))
        for box in boxes.values():
            box.boot()
        here = Home(net, boxes, telegram, folder, _environ(net, boxes, folder), venue)
        _set_up(here, topology)
        yield here


def _venue(net: Net, folder: Path) -> PaperProcess:
    """Return a paper exchange on the phone's host, with a key for each node."""
    folder.mkdir()
    keys = tuple(
        PaperKey(name=name, key=f"key-of-{name}", secret=f"api-secret-of-{name}")
        for name in (JETSON, PI)
    )
    venue = PaperProcess(
        folder,
        accounts=[PaperAccount(name="main", uid=1001, balances={"USDT": "10000"}, keys=keys)],
        # a candle in five seconds, and with each one the strategy moves its order: a gap shows
        symbols=[{"symbol": MOVED, "seed": "boxes", "start_price": "40000", "speed": 12}],
        host="0.0.0.0",
        has_remote_admin=True,
    )
    venue.prefix = net[PHONE].space.prefix
    venue.reached_at = net[PHONE].desk_address
    return venue


def _environ(net: Net, boxes: dict[str, Box], folder: Path) -> dict[str, str]:
    config = folder / "ssh_config"
    config.write_text(
        "".join(
            f"Host {name}\n  HostName {net[name].desk_address}\n  User {USER}\n"
            f"  IdentityFile {box.key}\n  IdentitiesOnly yes\n  LogLevel ERROR\n"
            f"  StrictHostKeyChecking accept-new\n  UserKnownHostsFile {folder}/known_hosts\n"
            for name, box in boxes.items()
        )
    )
    return {
        **os.environ,
        "HOTSPARE_SSH": " ".join([*net.hub.prefix, "ssh", "-F", str(config)]),
        "HOTSPARE_CACHE": str(cache_folder() / "deploy"),
        "PYTHON_ARCHIVE_FOR_OLD": str(python_archive(cache_folder())),
    }


def _set_up(here: Home, topology: str) -> None:
    addresses = {name: box.address for name, box in here.boxes.items()}
    phone = f"http://{here.net[PHONE].address}:{here.telegram.api.port}"
    answers = {
        "topology": topology,
        "preferred_host": addresses[JETSON],
        "standby_host": addresses[PI],
        "strategy": "grid",
        "symbols": SYMBOL,
        "chat_id": str(CHAT),
    }
    if here.venue is not None:
        here.cluster.mkdir()
        (here.cluster / MOVER_FILE).write_text(MOVER)
        answers |= {"strategy": MOVER_FILE, "symbols": MOVED}
        answers["base_url"] = f"http://{here.net[PHONE].address}:{here.venue.port}"
    if topology == "three-stores":
        answers["witness_host"] = addresses[WITNESS]
    words = [w for name, value in answers.items() for w in ("--set", f"{name}={value}")]
    done = subprocess.run(
        [
            str(ROOT / ".venv/bin/nodectl"),
            "init",
            "--yes",
            "--directory",
            str(here.cluster),
            *words,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    config = here.cluster / "cluster.toml"
    config.write_text(
        config.read_text().replace("[telegram]\n", f'[telegram]\napi_url = "{phone}"\n')
    )
    for name in (JETSON, PI):
        path = here.cluster / "secrets" / f"{name}.toml"
        text = path.read_text().replace('# token = ""', f'token = "{here.telegram.api.token}"')
        if here.venue is not None:
            text = text.replace('# api_key = ""', f'api_key = "key-of-{name}"')
            text = text.replace('# api_secret = ""', f'api_secret = "api-secret-of-{name}"')
        path.write_text(text)
    (here.cluster / "inventory.toml").write_text(
        "".join(f'[boxes.{name}]\nssh = "{name}"\n' for name in here.boxes)
    )

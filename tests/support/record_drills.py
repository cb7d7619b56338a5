"""Records the examples of docs/drills.md: `python -m tests.support.record_drills` writes them anew.

Each is what `nodectl` printed in a run on this machine with the default timings: real nodes, real
stores, the paper exchange, and a local Bot API server. The plug is played by SIGKILL.
"""

import re
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from node.demo.stage import NODES
from node.doctor.losses import list_losses, topology_row
from node.doctor.report import render_losses
from tests.node.test_doctor_losses import TWO
from tests.support.pair import JETSON, PI, BotApiThread, Pair, plan_of, running_pair

PAGE = Path(__file__).parents[2] / "docs" / "drills.md"
DEFAULTS = {"ttl_ms": 6000}
WAIT_S = 400.0


def record(arguments: tuple[str, ...], meanwhile: Callable[[Pair], None] | None = None) -> str:
    """Open a pair, run one `nodectl`, do something meanwhile; return what it printed."""
    said: list[str] = []
    with BotApiThread() as bot, tempfile.TemporaryDirectory() as folder:
        telegram = f'[telegram]\nchat_id = 42\napi_url = "http://127.0.0.1:{bot.api.port}"\n'
        token = f'[telegram]\ntoken = "{bot.api.token}"\n'
        plan = plan_of(
            lease=DEFAULTS, extra_toml=telegram, secrets_toml=dict.fromkeys(NODES, token)
        )
        with running_pair(Path(folder), plan) as pair:
            pair.open()

            def ask() -> None:
                done = pair.stage.nodectl(*arguments, timeout_s=WAIT_S)
                said.append(done.stdout or done.stderr)

            asked = threading.Thread(target=ask)
            asked.start()
            if meanwhile is not None:
                meanwhile(pair)
            asked.join(WAIT_S)
    return said[0].replace(folder, "").strip()


def restart(pair: Pair) -> None:
    """Start the leader again once its process has ended, as a supervisor does."""
    pair.wait(lambda: not pair.node(JETSON).is_running, "the process to end")
    pair.start(JETSON)


def pull(pair: Pair) -> None:
    """Pull the plug once the drill has begun, and put it back when the spare trades."""
    pair.wait(lambda: "drill" in pair.latches()[0], "the drill to begin")
    pair.kill(JETSON)
    pair.wait_active(PI)
    pair.wait_told("took_over", PI)
    pair.wait_order(PI)
    pair.start(JETSON)


EXAMPLES: dict[str, tuple[tuple[str, ...], Callable[[Pair], None] | None]] = {
    "nodectl doctor": (("doctor",), None),
    "nodectl doctor --measure 30s": (("doctor", "--measure", "30s"), None),
    "nodectl drill crash": (("drill", "crash", "--yes"), restart),
    "nodectl drill plug": (("drill", "plug", "--yes", "--node", PI), pull),
    "nodectl drill store": (("drill", "store", "witness", "--for", "10s", "--yes"), None),
    "nodectl drill switchover": (("drill", "switchover", "--yes"), None),
}


def two_boxes() -> str:
    """Return what the doctor prints first for two boxes and nothing else."""
    return render_losses(TWO, topology_row(TWO), list_losses(TWO))


def main(names: list[str]) -> None:
    """Replace these recordings on the page, or all."""
    text = PAGE.read_text(encoding="utf-8")
    for name in names or ["two boxes", *EXAMPLES]:
        printed = two_boxes() if name == "two boxes" else record(*EXAMPLES[name])
        block = f"<!-- recording: {name} -->\n```text\n{printed}\n```\n<!-- end -->"
        pattern = re.compile(
            rf"<!-- recording: {re.escape(name)} -->.*?<!-- end -->", flags=re.DOTALL
        )
        assert pattern.search(text), f"{PAGE.name} has no place for {name}"
        text = pattern.sub(lambda _, block=block: block, text)  # type: ignore[misc]
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

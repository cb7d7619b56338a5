"""A node that cannot start says so by message, once: real processes, a local Bot API."""

import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from node.bot_post import send
from node.cli.main import alarm_directory
from node.failed_start import run_alarm
from node.logs import setup_logs
from node.real_edges import RealEdges
from node.secrets import Secrets
from node.starts import LIMIT, WORDS_MAX, Chat, StartBook, render_book
from node.starts_file import keep_ready, leave_words, read_starts, read_words
from node.systemd import Notifier
from tests.support.bot_api import BotApi, Fault, Script
from tests.support.pair import BotApiThread
from tests.support.status_cases import THREE, make_config
from tests.support.until import until

KEY = "venuekeyvenuekeyvenuekey"
NODECTL = Path(sys.executable).with_name("nodectl")


@dataclass
class Box:
    """One unit on one box, as its supervisor sees it."""

    folder: Path
    api: BotApi

    @property
    def state(self) -> Path:
        return self.folder / "state" / "jetson"

    def configure(self, config: str) -> None:
        (self.folder / "cluster.toml").write_text(config, "utf-8")

    def telegram(self) -> str:
        return f'[telegram]\nchat_id = 42\napi_url = "http://127.0.0.1:{self.api.port}"\n'

    def environ(self, run_id: str = "") -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "INVOCATION_ID": run_id or uuid.uuid4().hex,
            "HOTSPARE_CONFIG": str(self.folder / "cluster.toml"),
            "HOTSPARE_NODE": "jetson",
            "HOTSPARE__STATE_DIR": str(self.folder / "state"),
            "RUNTIME_DIRECTORY": str(self.folder / "run"),
        }

    def fail(self, environ: Mapping[str, str] | None = None, status: str = "4") -> list[str]:
        """Let one start fail; return what its hook said to journald."""
        said: list[str] = []
        ends = {"SERVICE_RESULT": "exit-code", "EXIT_CODE": "exited", "EXIT_STATUS": status}
        run_alarm(self.state, {**(environ or self.environ()), **ends}, say=said.append)
        return said


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    with BotApiThread() as server:
        made = Box(tmp_path, server.api)
        for name in ("secrets", "run", "state/jetson"):
            (tmp_path / name).mkdir(parents=True, mode=0o700)
        secrets = tmp_path / "secrets" / "jetson.toml"
        secrets.write_text(
            f'[venue]\napi_key = "{KEY}"\n[telegram]\ntoken = "{server.api.token}"\n', "utf-8"
        )
        secrets.chmod(0o600)
        made.configure("[cluster]\nname = 'home'\n" + made.telegram())
        yield made


def test_a_node_with_a_wrong_configuration_is_told_once_by_real_processes(box: Box) -> None:
    """What systemd does: run, hook, run, hook; a token pasted into the file reaches nobody."""
    box.configure(f'[cluster]\nname = "{box.api.token}"\n' + box.telegram())
    printed = ""
    for _ in range(LIMIT + 1):
        environ = box.environ()
        ran = subprocess.run(
            [NODECTL, "run"], env=environ, capture_output=True, text=True, check=False, timeout=120
        )
        assert ran.returncode == 4, ran.stderr
        environ |= {"SERVICE_RESULT": "exit-code", "EXIT_CODE": "exited", "EXIT_STATUS": "4"}
        hook = subprocess.run(
            [NODECTL, "tell-failed-start", "--state-dir", str(box.state)],
            env=environ, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert hook.returncode == 0
        printed += ran.stdout + ran.stderr + hook.stdout + hook.stderr
    (text,) = box.api.texts
    assert text.startswith("🔴 Act: jetson cannot start")
    assert "nothing was started" in text
    assert "exit code 4 (configuration or secrets must be mended)" in text
    assert box.api.token not in text + printed
    assert KEY not in text + printed
    assert box.api.messages[0].chat_id == "42"


def test_a_broken_environment_is_told_too(box: Box, tmp_path: Path) -> None:
    """A dependency that cannot be imported: neither Typer nor pydantic is there for the hook."""
    broken = tmp_path / "broken" / "typer"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('libfoo.so.1: cannot open')\n")
    environ = {**box.environ("run-1"), "PYTHONPATH": str(broken.parent)}
    ran = subprocess.run(
        [NODECTL, "run"], env=environ, capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 70, ran.stderr
    assert read_words(box.state, environ) == "ImportError: libfoo.so.1: cannot open"
    for _ in range(LIMIT - 1):
        box.fail()
    environ |= {"SERVICE_RESULT": "exit-code", "EXIT_CODE": "exited", "EXIT_STATUS": "70"}
    subprocess.run(
        [NODECTL, "tell-failed-start", "--state-dir", str(box.state)],
        env=environ, check=True, timeout=60,
    )  # fmt: skip
    assert "libfoo.so.1: cannot open" in box.api.texts[0]


async def test_the_next_series_is_told_again_after_a_start_that_succeeded(box: Box) -> None:
    for _ in range(2 * LIMIT):
        box.fail()
    assert len(box.api.texts) == 1
    environ = box.environ()
    ready = Notifier({}, on_ready=lambda: keep_ready(box.state, environ, None))
    ready.ready("standing by")
    await until(lambda: read_starts(box.state, environ).ready_of == environ["INVOCATION_ID"])
    assert box.fail(environ) == []  # its own end, later: it had started
    for _ in range(LIMIT):
        box.fail()
    assert len(box.api.texts) == 2


async def test_a_node_that_gets_ready_remembers_its_chat(box: Box, tmp_path: Path) -> None:
    """What the composition root wires: the supervisor's READY is the end of every count."""
    config = make_config(tmp_path / "state", f"{THREE}\n{box.telegram()}")
    log = setup_logs(config.log, directory=None, secret_values=(), environ={}, node="jetson")
    environ = box.environ("run-7")
    for _ in range(LIMIT):
        box.fail()
    edges = RealEdges(
        config,
        Secrets.model_validate({"telegram": {"token": box.api.token}}),
        node_id="jetson",
        environ=environ,
        state_dir=box.state,
        log=log,
    )
    edges.supervisor.ready("standing by")
    log.close()
    await until(lambda: read_starts(box.state, environ).ready_of == "run-7")
    book = read_starts(box.state, environ)
    assert (book.failed, book.is_told) == (0, False)
    assert book.chat == Chat(chat_id=42, api_url=f"http://127.0.0.1:{box.api.port}")


def test_a_configuration_that_is_gone_is_told_to_the_chat_that_was_good(box: Box) -> None:
    keep_ready(box.state, box.environ(), Chat(chat_id=7, api_url=box.api.base_url[:-4]))
    (box.folder / "cluster.toml").unlink()
    for _ in range(LIMIT):
        box.fail()
    assert [message.chat_id for message in box.api.messages] == ["7"]


def test_a_mistyped_chat_is_told_to_the_one_that_was_good(box: Box) -> None:
    keep_ready(box.state, box.environ(), Chat(chat_id=7, api_url=box.api.base_url[:-4]))
    box.api.script(Fault.CHAT_NOT_FOUND)
    for _ in range(LIMIT):
        box.fail()
    assert [message.chat_id for message in box.api.messages] == ["7"]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault.UNAUTHORIZED, "Unauthorized"),
        (Fault.GATEWAY_HTML, "HTTP 502"),
        (Fault.CUT_JSON, "the answer is not the Bot API's"),
        (Script(Fault.FLOOD, 300), "Too Many Requests"),
    ],
)
def test_what_is_not_taken_is_critical_in_the_journal_and_tried_later(
    box: Box, fault: Fault | Script, words: str
) -> None:
    """journald writes CRIT to the disk at once; the token and the address are not in it."""
    box.api.script(fault)
    for _ in range(LIMIT - 1):
        assert box.fail() == []
    (line,) = box.fail()
    assert line.startswith("<2>hotspare: not told by message")
    assert words in line
    assert "jetson cannot start" in line
    assert box.api.token not in line
    assert box.fail() == []  # not yet due again
    book = read_starts(box.state, box.environ())
    assert (book.tries, book.is_told) == (1, False)


def test_no_token_and_no_chat_end_in_the_journal(box: Box) -> None:
    (box.folder / "secrets" / "jetson.toml").unlink()
    assert "the bot's token cannot be read" in [*box.fail(), *box.fail(), *box.fail()][0]


def test_a_state_directory_that_takes_nothing_is_counted_elsewhere(box: Box) -> None:
    """A full or read-only disk may be the very reason; even root cannot write below a file."""
    box.state.rmdir()
    box.state.write_text("")
    for _ in range(LIMIT + 1):
        box.fail()
    assert len(box.api.texts) == 1
    (box.folder / "run" / "starts.json").unlink()
    (box.folder / "run").rmdir()
    (line,) = box.fail()
    assert line.startswith("<2>")
    assert "neither" in line
    assert len(box.api.texts) == 1


def test_without_own_words_the_newest_log_line_is_told(box: Box) -> None:
    """Killed while it started; words of an earlier run count for nothing."""
    leave_words(box.environ(), "of an earlier run")
    (box.state / "log").mkdir()
    line = {"ts": "2026-11-26T07:00:00Z", "level": "info", "event": "node.starting", "key": KEY}
    (box.state / "log" / "node.jsonl").write_text(json.dumps(line) + "\n")
    for _ in range(LIMIT):
        box.fail(status="1")
    (text,) = box.api.texts
    assert "node.starting" in text
    assert "earlier run" not in text
    assert KEY not in text


@pytest.mark.parametrize(
    ("words", "is_alarm"),
    [
        (["tell-failed-start", "--state-dir", "/x"], True),
        (["tell-failed-start", "--state-dir", "--help"], False),
        (["tell-failed-start"], False),
        (["release", "--state-dir", "/x"], False),
        ([], False),
    ],
)
def test_only_the_hooks_own_words_take_the_short_way(words: list[str], *, is_alarm: bool) -> None:
    assert (alarm_directory(words) is not None) is is_alarm


def test_the_hook_needs_the_standard_library_only() -> None:
    """Any other package may be the one that is broken."""
    code = (
        "import sys, node.failed_start, node.bot_post, node.cli.main\n"
        "own = {'node', 'election'}\n"
        "found = {name.partition('.')[0] for name in sys.modules} - own - sys.stdlib_module_names\n"
        "print(*sorted(n for n in found if not n.startswith(('_', 'sitecustomize'))))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout.split() == []


def test_an_end_that_tells_nothing_loads_no_network() -> None:
    """Each crash waits for this hook before the node is started again."""
    code = (
        "import sys, node.failed_start, node.cli.main\n"
        "print(*sorted({'ssl', 'http.client', 'urllib.request'} & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout.split() == []


def test_a_redirect_is_not_followed_with_the_token(box: Box) -> None:
    """Whoever sits between must not be able to send the token elsewhere."""
    paths: list[str] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            paths.append(self.path)
            self.send_response(302)
            self.send_header("Location", f"http://{self.headers['Host']}/stolen")
            self.end_headers()

        do_GET = do_POST  # noqa: N815  (what a follower would ask with)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        chat = Chat(chat_id=1, api_url=f"http://127.0.0.1:{server.server_port}")
        sent = send(chat, box.api.token, "x")
    finally:
        server.shutdown()
        server.server_close()
    assert sent.error
    assert box.api.token not in sent.error
    assert [path for path in paths if "stolen" in path] == []


def test_a_secret_at_the_cut_of_the_words_leaves_no_half(box: Box) -> None:
    for number in range(LIMIT):
        environ = box.environ(f"run-{number}")
        leave_words(environ, "x" * (WORDS_MAX - 12) + KEY)
        box.fail(environ)
    (text,) = box.api.texts
    assert "x" * 100 in text
    assert KEY[:8] not in text


def test_of_two_books_the_newer_one_counts(tmp_path: Path) -> None:
    """The disk took nothing for a while: what the runtime directory has is newer."""
    state, run = tmp_path / "state", tmp_path / "run"
    environ = {"RUNTIME_DIRECTORY": str(run)}
    for folder, serial in ((state, 3), (run, 5)):
        folder.mkdir()
        (folder / "starts.json").write_text(render_book(StartBook(serial=serial, failed=serial)))
    assert read_starts(state, environ).failed == 5
    (state / "starts.json").write_text(render_book(StartBook(serial=9, failed=1)))
    assert read_starts(state, environ).failed == 1
    (state / "starts.json").write_text("torn")
    assert read_starts(state, environ).failed == 5

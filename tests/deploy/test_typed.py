"""What a wrong word after `make` is answered: what, where, how to mend; never a traceback."""

import getpass
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy import __main__ as command
from deploy.__main__ import main
from deploy.deployer import SSH_VARIABLE
from node.init import GivenSecrets, write_cluster
from node.init_answers import Answers

ANSWERS = Answers(preferred_host="192.168.1.11", standby_host="192.168.1.12")
# stands for a box: opens, closes, and says what it is
BOX = """#!/bin/sh
case " $* " in *" -M -N -f "* | *" -O exit "*) exit 0 ;; esac
cat >/dev/null
printf 'sudo=%s\\nuser=ann\\nnode=\\n' SUDO
"""
Typed = Callable[..., tuple[int, str]]


@pytest.fixture
def typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Typed:
    """Run a verb for a cluster's folder; return its exit code and all that it said."""
    write_cluster(tmp_path / "home", ANSWERS, GivenSecrets())
    monkeypatch.setenv(SSH_VARIABLE, str(a_box(tmp_path, sudo="free")))

    def run(verb: str, **variables: str) -> tuple[int, str]:
        code = main([verb], {"CLUSTER": str(tmp_path / "home"), **variables})
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


def a_box(folder: Path, *, sudo: str) -> Path:
    ssh = folder / f"ssh-{sudo}"
    ssh.write_text(BOX.replace("SUDO", sudo))
    ssh.chmod(0o755)
    return ssh


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"CLUSTER": "/nowhere"}, "/nowhere: has no cluster.toml\n    → CLUSTER="),
        ({"HOST": "-oProxyCommand=id"}, "nothing that ssh can reach\n    → HOST=user@address"),
        ({"HOST": "pi at home"}, "nothing that ssh can reach"),
        ({"FORCE": "perhaps"}, "FORCE=perhaps is neither yes nor no"),
    ],
)
def test_a_wrong_word_is_answered_with_what_to_say(
    typed: Typed, variables: dict[str, str], words: str
) -> None:
    code, said = typed("primary", **variables)
    assert (code, words in said) == (1, True), said


@pytest.mark.parametrize("no", ["No", "off", "FALSE", "n", "0", ""])
def test_no_is_understood_in_each_way_that_people_say_it(no: str) -> None:
    """FORCE=No must not force."""
    assert not command._is_on({"FORCE": no}, "FORCE")
    assert command._is_on({"FORCE": "Yes"}, "FORCE")


@pytest.mark.parametrize("verb", ["status", "logs", "drill", "backup"])
def test_a_box_without_a_node_is_said(typed: Typed, verb: str) -> None:
    """And not that a program is not found there."""
    _, said = typed(verb)
    assert "raspberrypi: no " in said
    assert "no node is deployed there\n    → make deploy-primary, make deploy-standby" in said


def test_an_ssh_that_is_not_there_is_said(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SSH_VARIABLE, "/no/such/ssh")
    code, said = typed("status")
    assert (code, "/no/such/ssh: No such file" in said) == (1, True), said
    monkeypatch.setenv(SSH_VARIABLE, "ssh -i 'my key")
    code, said = typed("status")
    assert (code, "HOTSPARE_SSH is no command" in said) == (1, True), said


def test_ctrl_c_is_no_traceback(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "status", stop)
    assert typed("status") == (
        130,
        "\nhotspare: stopped; what is done stays\n    → the same command goes on\n",
    )


def test_nobody_who_could_type_the_sudo_password_is_said(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job at night has no terminal: getpass would ask on its standard input."""

    def no_terminal(_prompt: str) -> str:
        raise getpass.GetPassWarning("Can not control echo on the terminal.")

    monkeypatch.setenv(SSH_VARIABLE, str(a_box(tmp_path, sudo="password")))
    monkeypatch.setattr(getpass, "getpass", no_terminal)
    code, said = typed("uninstall", BOX="jetson")
    assert (code, "sudo wants a password there" in said) == (1, True), said


def test_a_short_passphrase_is_refused_once_and_before_a_box_is_asked(typed: Typed) -> None:
    code, said = typed("backup", WITH_SECRETS="1", HOTSPARE_BACKUP_PASSPHRASE="short")
    assert code == 1
    assert said.count("fewer than 12 characters") == 1
    assert "jetson" not in said


def test_a_wrong_backup_is_named(typed: Typed, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no backup")
    code, said = typed("restore", BOX="jetson", FILE=str(tmp_path / "notes.txt"))
    assert (code, f"{tmp_path}/notes.txt: the backup is damaged" in said) == (1, True), said


@pytest.mark.parametrize("verb", ["status", "logs", "drill"])
def test_what_has_this_terminal_leaves_the_asking_to_sudo(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """It would be asked for twice."""
    monkeypatch.setenv(SSH_VARIABLE, str(a_box(tmp_path, sudo="password")))
    monkeypatch.setattr(getpass, "getpass", lambda _: pytest.fail("asked"))
    assert "no node is deployed there" in typed(verb)[1]


def test_a_sudo_password_that_is_not_taken_is_said_at_once(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is built, or tried with it, before."""
    box = a_box(tmp_path, sudo="password")
    box.write_text(box.read_text().replace("cat >/dev/null", "case $* in *true*) exit 1; esac"))
    monkeypatch.setenv(SSH_VARIABLE, str(box))
    monkeypatch.setattr(getpass, "getpass", lambda _: "wrong")
    code, said = typed("primary")
    assert (code, "jetson: sudo does not take this password" in said) == (1, True), said
    assert "note:" not in said


@pytest.mark.parametrize(
    ("verb", "word"),
    [("upgrade", "BOX"), ("backup", "BOX"), ("status", "HOST"), ("upgrade", "HOST"),
     ("drill", "DRY_RUN")],
)  # fmt: skip
def test_a_word_that_would_count_for_nothing_is_refused(typed: Typed, verb: str, word: str) -> None:
    """`make upgrade BOX=jetson` changed both boxes, `make drill DRY_RUN=1` hurt the pair."""
    code, said = typed(verb, **{word: "1"})
    assert (code, f"make {verb} does not know {word}=" in said) == (1, True), said


def test_a_shell_that_greets_is_said(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its words were taken for the name of a wheel that is missing there."""
    box = a_box(tmp_path, sudo="free")
    box.write_text(box.read_text().replace("cat >/dev/null", "cat >/dev/null; echo Welcome back"))
    monkeypatch.setenv(SSH_VARIABLE, str(box))
    code, said = typed("primary")
    assert (code, "its shell prints 'Welcome back' by itself" in said) == (1, True), said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_terminal_that_is_closed_leaves_no_connection(
    typed: Typed, tmp_path: Path, number: signal.Signals
) -> None:
    """The kept one would stay open for two hours, and whoever sits down there is root on a box."""
    del typed  # the cluster's folder is what is needed
    noted, ssh = tmp_path / "noted", tmp_path / "ssh"
    ssh.write_text(
        f'#!/bin/sh\necho "$*" >>{noted}\n'
        'case " $* " in *" -M -N -f "* | *" -O exit "*) exit 0 ;; esac\nexec sleep 60\n'
    )
    ssh.chmod(0o755)
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy", "status"],
        env={**os.environ, "CLUSTER": str(tmp_path / "home"), SSH_VARIABLE: str(ssh)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline_s = time.monotonic() + 60
    while not noted.exists() or noted.read_text().count("\n") < 2:
        assert time.monotonic() < deadline_s, "it does not look at the box"
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(60) == 130
    assert " -O exit " in noted.read_text().splitlines()[-1]

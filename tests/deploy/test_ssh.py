"""What goes to a box over ssh, and how; ssh and sudo are scripts that do as the real ones."""

import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.errors import StepFailed
from deploy.ssh import ORPHAN_S, Shell

PASSWORD = "correct horse battery"
# the kept connection is opened and closed by nothing; every other word is run right here
SSH = """\
#!/bin/sh
for word in "$@"; do
  case $word in -M | -O) exit 0 ;; esac
done
shift $(($# - 1))
PATH={folder}:$PATH exec sh -c "$1"
"""
# asks once and remembers, unless it is told to forget (sudo(8), -k)
SUDO = """\
#!/bin/sh
asked=yes
[ ! -e {folder}/remembered ] || asked=no
while :; do
  case $1 in
    -k) asked=yes; shift ;;
    -S) shift ;;
    -p) shift 2 ;;
    *) break ;;
  esac
done
if [ $asked = yes ]; then
  read -r given
  [ "$given" = "{password}" ] || exit 1
fi
touch {folder}/remembered
exec "$@"
"""


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A way to this machine, whose sudo wants a password."""
    for name, text in (("ssh", SSH), ("sudo", SUDO)):
        path = tmp_path / name
        path.write_text(text.replace("{folder}", str(tmp_path)).replace("{password}", PASSWORD))
        path.chmod(0o755)
    shell = Shell(target="board", command=(str(tmp_path / "ssh"),), sudo_password=PASSWORD)
    with shell:
        yield shell


def test_a_sudo_that_remembers_leaves_no_password_to_the_shell(shell: Shell) -> None:
    """It would be the first line of the script, and an error would show it."""
    for _ in range(2):
        assert shell.as_root('cat; echo "said $1"', "this") == "said this\n"
        assert shell.fetch("cat", given=b"a given text") == (b"a given text", "")


def test_a_wrong_password_is_found_before_anything_is_sent_behind_it(shell: Shell) -> None:
    assert shell.why_no_sudo() == ""
    shell.sudo_password = "incorrect horse"
    assert shell.why_no_sudo() == "it does not say why"


@pytest.mark.skipif(shutil.which("ssh") is None, reason="ssh is not installed")
def test_a_kept_connection_whose_deployment_was_killed_ends_by_itself(
    tmp_path: Path,
) -> None:
    """What the real ssh makes of the words that open it."""
    ssh = tmp_path / "ssh"
    ssh.write_text(f'#!/bin/sh\n[ -e {tmp_path}/told ] || ssh -G "$@" >{tmp_path}/told\n')
    ssh.chmod(0o755)
    with Shell(target="board", command=(str(ssh),)):
        told = (tmp_path / "told").read_text().splitlines()
    assert f"controlpersist {ORPHAN_S}" in told
    assert "controlmaster true" in told


def test_what_failed_is_said_in_its_last_lines(shell: Shell) -> None:
    with pytest.raises(Exception, match=r"a step failed \(3\):\nline 4\n(?s:.*)line 11$"):
        shell.as_root("for n in 1 2 3 4 5 6 7 8 9 10 11; do echo line $n; done; exit 3")


def test_a_file_whose_connection_broke_off_gets_no_name(shell: Shell, tmp_path: Path) -> None:
    """The box sees only an end of the input; a cut file would be taken for the whole one."""
    whole, there = tmp_path / "whole", tmp_path / "box" / "whole"
    whole.write_bytes(b"a large file\n" * 1000)
    cut_after = len(PASSWORD) + 1 + 5000
    (tmp_path / "ssh").write_text(
        SSH.replace("{folder}", str(tmp_path)).replace(
            "exec sh", f"exec head -c {cut_after} | PATH={tmp_path}:$PATH sh"
        )
    )
    with pytest.raises(StepFailed):
        shell.send(whole, str(there))
    assert not list(there.parent.iterdir())

    (tmp_path / "ssh").write_text(SSH.replace("{folder}", str(tmp_path)))
    shell.send(whole, str(there))
    assert there.read_bytes() == whole.read_bytes()
    assert stat.S_IMODE(there.stat().st_mode) == 0o644
    assert list(there.parent.iterdir()) == [there]


def test_a_script_that_arrives_in_part_does_nothing(shell: Shell, tmp_path: Path) -> None:
    """`rm -rf /var/lib/hotspare` cut short would still be a command."""
    touched = tmp_path / "touched"
    script = f"touch {touched}\ntouch {touched}-not\n"
    (tmp_path / "ssh").write_text(
        SSH.replace("{folder}", str(tmp_path)).replace(
            "exec sh", f"exec head -c {len(PASSWORD) + 1 + len(script)} | PATH={tmp_path}:$PATH sh"
        )
    )
    with pytest.raises(StepFailed):
        shell.as_root(script)
    assert not touched.exists()

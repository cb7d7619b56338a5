"""What goes to a box over ssh, and how; ssh and sudo are scripts that do as the real ones."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

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

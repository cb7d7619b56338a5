"""Running shell scripts on a box over the system's own ssh. The only file that starts ssh.

The owner's ~/.ssh/config counts: names, jump hosts, hardware keys. Host keys are checked as ssh
always does. Nothing secret is ever an argument: scripts and files go through standard input, the
sudo password too. One connection is kept open for all steps of one deployment (ControlMaster).
"""

import hashlib
import io
import os
import shlex
import subprocess
import tarfile
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from deploy.errors import BoxUnreachable, StepFailed

UNREACHED = 255
CONNECT_S = 15
LOOK_S = 60.0
STEP_S = 1800.0
"""Building the environment takes minutes on a slow card."""
SHOWN_LINES = 8
ORPHAN_S = 7200
"""A kept connection that is idle this long has lost its deployment (a laptop's process that was
killed) and ends by itself. Longer than this box waits for a few steps on the other one."""


@dataclass(slots=True)
class Shell:
    """A way to one box; a context manager that opens and closes the kept connection.

    Raises BoxUnreachable on entering when ssh does not get through.

    `command` is how ssh is called (HOTSPARE_SSH, as git has GIT_SSH_COMMAND).
    """

    target: str
    command: tuple[str, ...] = ("ssh",)
    sudo_password: str | None = field(default=None, repr=False)
    is_root: bool = False
    _folder: "tempfile.TemporaryDirectory[str] | None" = field(init=False, default=None, repr=False)

    def __enter__(self) -> Self:
        # short: the path of a socket has at most 107 characters
        self._folder = tempfile.TemporaryDirectory(prefix="hs-", dir="/tmp")
        with tempfile.TemporaryFile() as said:
            # a file and no pipe: the connection that stays would keep a pipe open
            code = subprocess.call(  # noqa: S603
                [*self._ssh(), "-o", f"ControlPersist={ORPHAN_S}", "-M", "-N", "-f", self.target],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
            )
            said.seek(0)
            wrong = said.read().decode("utf-8", "replace").strip()
        if code != 0:
            self._folder.cleanup()
            raise _unreached(self.target, wrong)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._folder is not None
        subprocess.run(  # noqa: S603
            [*self._ssh(), "-O", "exit", self.target],
            capture_output=True,
            timeout=LOOK_S,
            check=False,
        )
        self._folder.cleanup()

    def why_no_sudo(self) -> str:
        """Return why sudo does not take the password, empty when it does.

        With anything behind it, the next lines would be tried as passwords, and some systems lock
        a user out after three.
        """
        done = self._call([*self._sudo(), "true"], self._password(), timeout_s=LOOK_S)
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        return "" if done.returncode == 0 else (said or ["it does not say why"])[-1]

    def look(self, script: str, *words: str, timeout_s: float = LOOK_S) -> str:
        """Run a script as the user who logs in and return what it printed.

        Raises:
            BoxUnreachable: ssh did not get through.
            StepFailed: the script failed; with its last lines.
        """
        return self._run(["sh", "-s", "--", *words], _whole(script), timeout_s=timeout_s)

    def as_root(self, script: str, *words: str, timeout_s: float = STEP_S) -> str:
        """Run a script as root and return what it printed; raises as `look` does."""
        return self._run(
            [*self._sudo(), "sh", "-s", "--", *words],
            self._password() + _whole(script),
            timeout_s=timeout_s,
        )

    def staged(
        self, script: str, files: Mapping[str, bytes], *words: str, timeout_s: float = STEP_S
    ) -> str:
        """Unpack files into a folder that root alone can read, run one of them, remove all.

        The folder is in memory: nothing is left by a power cut, and no secret on a card by the way.
        `script` is one of `files` and is given that folder as its first argument; raises as `look`.
        """
        receive = (
            "umask 077; d=$(mktemp -d /run/hotspare.XXXXXX) || exit 1; "
            "trap 'rm -rf \"$d\"' EXIT; trap 'exit 1' HUP INT TERM; "
            f'tar -xf - -C "$d" --no-same-owner && sh "$d/{script}" "$d" "$@"'
        )
        remote = [*self._sudo(), "sh", "-c", receive, "hotspare", *words]
        return self._run(remote, self._password() + _tar(files), timeout_s=timeout_s)

    def send(self, path: Path, to: str, *, timeout_s: float = STEP_S) -> None:
        """Put a large file there under a temporary name, then under its own; raises as `look`.

        A connection that breaks off ends the input there as a whole file would: only what has the
        right hash gets its name. The temporary one is this sender's alone.
        """
        content = path.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        receive = (
            'umask 022; mkdir -p "${1%/*}" && part=$(mktemp "$1.XXXXXX") || exit 1; '
            "trap 'rm -f \"$part\"' EXIT; trap 'exit 1' HUP INT TERM; "
            'cat >"$part" && echo "$2  $part" | sha256sum -c --quiet - && '
            'chmod 644 "$part" && sync "$part" && mv -f "$part" "$1"'
        )
        remote = [*self._sudo(), "sh", "-c", receive, "hotspare", to, sha256]
        self._run(remote, self._password() + content, timeout_s=timeout_s)

    def fetch(
        self, *words: str, given: bytes = b"", accepted: Collection[int] = (0,)
    ) -> tuple[bytes, str]:
        """Run a command as root; return its output as bytes and what it said beside.

        `given` goes to its standard input; raises as `look` for other exit codes.
        """
        done = self._call([*self._sudo(), *words], self._password() + given, timeout_s=STEP_S)
        wrong = done.stderr.decode("utf-8", "replace").strip()
        if done.returncode not in accepted:
            raise _failed(self.target, done.returncode, wrong)
        return done.stdout, wrong

    def attach(self, *words: str) -> int:
        """Run a command with this terminal (`nodectl logs`, drills) and return its exit code."""
        remote = " ".join(shlex.quote(w) for w in words)
        flags = ["-t"] if os.isatty(0) else []
        return subprocess.call([*self._ssh(), *flags, self.target, remote])  # noqa: S603

    def _run(self, remote: list[str], given: bytes, *, timeout_s: float) -> str:
        done = self._call(remote, given, timeout_s=timeout_s)
        said = done.stdout.decode("utf-8", "replace")
        wrong = done.stderr.decode("utf-8", "replace").strip()
        if done.returncode != 0:
            raise _failed(self.target, done.returncode, said + wrong)
        return said

    def _call(
        self, remote: list[str], given: bytes, *, timeout_s: float
    ) -> "subprocess.CompletedProcess[bytes]":
        line = " ".join(shlex.quote(w) for w in remote)
        try:
            done = subprocess.run(  # noqa: S603
                [*self._ssh(), self.target, line],
                input=given,
                capture_output=True,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise BoxUnreachable(
                f"{self.target}: no answer within {timeout_s:g} s\n    → look at the box and its "
                "network, then run the same command again: it resumes"
            ) from None
        if done.returncode == UNREACHED:
            raise _unreached(self.target, done.stderr.decode("utf-8", "replace").strip())
        return done

    def _ssh(self) -> list[str]:
        assert self._folder is not None, "not entered"
        options = {
            "ConnectTimeout": str(CONNECT_S),
            "ServerAliveInterval": "10",
            "ServerAliveCountMax": "3",
            "ControlPath": f"{self._folder.name}/s",
        }
        return [*self.command, *(w for k, v in options.items() for w in ("-o", f"{k}={v}"))]

    def _sudo(self) -> list[str]:
        if self.is_root:
            return []
        if self.sudo_password is None:
            return ["sudo", "-n"]
        # -k: a sudo that remembers would leave the password to the shell, which shows it
        return ["sudo", "-k", "-S", "-p", ""]

    def _password(self) -> bytes:
        return (
            b""
            if self.is_root or self.sudo_password is None
            else f"{self.sudo_password}\n".encode()
        )


def _unreached(target: str, said: str) -> BoxUnreachable:
    return BoxUnreachable(
        f"{target}: {said or 'the connection broke off'}\n    → try `ssh {target}`, then run the "
        "same command again: it resumes"
    )


def _failed(target: str, code: int, said: str) -> StepFailed:
    last = "\n".join(said.splitlines()[-SHOWN_LINES:])
    return StepFailed(f"{target}: a step failed ({code}):\n{last}")


def _whole(script: str) -> bytes:
    """Return a script that runs whole or not at all: a broken connection may cut it anywhere."""
    return f"{{\n{script}\n}}\n".encode()


def _tar(files: Mapping[str, bytes]) -> bytes:
    """Return the files as an archive, the same bytes for the same files."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(files[name]), 0o600
            archive.addfile(entry, io.BytesIO(files[name]))
    return held.getvalue()

"""Boxes that boot real systemd, each on its own network host, reached by real SSH.

Rules of this file: a box is booted by `systemd-nspawn` in a mount namespace of its own, above an
overlay that is its SD card. `pull` is the plug: the cable first, so that no peer sees a FIN, then
PID 1 with everything below it; the card keeps what was written, `plug` boots from it again. The
machine's own systemd, network and files are never touched.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.lab_net import Net, PullProof
from tests.deploy.box_roots import USER, root_of

BOOT_S = 90.0
COMMAND_S = 300.0
POLL_S = 0.1
CGROUPS = Path("/sys/fs/cgroup")
BOOT_SCRIPT = Path(__file__).with_name("boot_box.sh")
_KEYGEN = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f")


@dataclass(slots=True)
class Box:
    """One machine. `address` is what its peers know; SSH comes over the test's own wire."""

    name: str
    suite: str
    net: Net
    work: Path
    key: Path
    _process: "subprocess.Popen[bytes] | None" = field(init=False, default=None)

    @property
    def address(self) -> str:
        """Its address on the network between the boxes."""
        return self.net[self.name].address

    @property
    def group(self) -> str:
        """Its control group: another run of the tests has others."""
        return f"box-{self.name}-{os.getpid()}"

    @property
    def card(self) -> Path:
        """What was written to its SD card since it was fresh (an overlay)."""
        return self.work / "up"

    def boot(self) -> None:
        """Switch it on and wait until SSH answers and systemd has started everything.

        Raises:
            AssertionError: it did not come up in time; with its console.
        """
        self._prepare_card()
        console = (self.work / "console.log").open("ab")
        self._process = subprocess.Popen(
            [
                *("unshare", "--mount", "--propagation", "private", str(BOOT_SCRIPT)),
                *(self.name, str(root_of(self.suite)), str(self.work)),
                *(self.net[self.name].space.path, self.group),
            ],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            start_new_session=True,
        )
        console.close()
        deadline_s = time.monotonic() + BOOT_S
        while self.ssh("true", timeout_s=5).returncode != 0:
            assert self._process.poll() is None, f"{self.name} ended:\n{self.console()}"
            assert time.monotonic() < deadline_s, f"{self.name} did not boot:\n{self.console()}"
            time.sleep(POLL_S)
        self.ssh("sudo systemctl is-system-running --wait", timeout_s=BOOT_S)

    def ssh_command(self, user: str = USER) -> list[str]:
        """Return the command that logs in, to which one adds what shall run there."""
        options = {
            "IdentityFile": str(self.key),
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": str(self.work / "known_hosts"),
            "StrictHostKeyChecking": "accept-new",
            "ConnectTimeout": "3",
            "LogLevel": "ERROR",
        }
        words = [w for k, v in options.items() for w in ("-o", f"{k}={v}")]
        return [*self.net.hub.prefix, "ssh", *words, f"{user}@{self.net[self.name].desk_address}"]

    def ssh(
        self, command: str, *, user: str = USER, timeout_s: float = COMMAND_S, text: str = ""
    ) -> "subprocess.CompletedProcess[str]":
        """Run a shell command on the box; 255 when it cannot be reached."""
        try:
            return subprocess.run(
                [*self.ssh_command(user), command],
                input=text,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            return subprocess.CompletedProcess(late.cmd, 255, "", "no answer in time")

    def run(self, command: str, *, timeout_s: float = COMMAND_S) -> str:
        """Run a command as root and return what it printed.

        Raises:
            AssertionError: it failed; with what it said.
        """
        done = self.ssh(f"sudo sh -c {_quoted(command)}", timeout_s=timeout_s)
        said = done.stdout + done.stderr
        assert done.returncode == 0, f"{self.name}: {command}\n→ {done.returncode}: {said}"
        return done.stdout

    def console(self) -> str:
        """Return the last lines of what it wrote to its console."""
        return (self.work / "console.log").read_text("utf-8", "replace")[-3000:]

    def pull(self) -> PullProof:
        """Pull the plug."""
        proof = self.net.pull(self.name, self.pids())
        self._end()
        return proof

    def plug(self) -> None:
        """Give it power again: it boots from its card."""
        self.net.plug(self.name)
        self.boot()

    def wipe(self) -> None:
        """Put a fresh card into the box, which is off: nothing of the old one stays."""
        assert self._process is None, "it is on"
        for name in ("up", "scratch", "known_hosts"):
            path = self.work / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def pids(self) -> list[int]:
        """Return every process of the box, PID 1 first."""
        found: set[int] = set()
        for file in (CGROUPS / "unified", CGROUPS):
            folder = file / self.group
            if folder.exists():
                for procs in folder.rglob("cgroup.procs"):
                    with contextlib.suppress(OSError):
                        found |= {int(p) for p in procs.read_text("ascii").split()}
        return sorted(found)

    def switch_off(self) -> None:
        """End it, without ceremony."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._end()

    def _end(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(BOOT_S)
            self._process = None
        deadline_s = time.monotonic() + BOOT_S
        while self.pids() or not self._is_group_gone():
            # a group can be removed only when its last process is reaped
            assert time.monotonic() < deadline_s, f"{self.name}: processes {self.pids()} remain"
            time.sleep(POLL_S)

    def _is_group_gone(self) -> bool:
        for base in (CGROUPS / "unified", CGROUPS):
            for folder, _, _ in os.walk(base / self.group, topdown=False):
                try:
                    Path(folder).rmdir()
                except OSError:
                    return False
        return True

    def _prepare_card(self) -> None:
        if (self.card / "etc/hostname").exists():
            return
        (self.card / "etc").mkdir(parents=True)
        (self.card / "etc/hostname").write_text(f"{self.name}\n", encoding="ascii")
        hosts = f"127.0.0.1 localhost\n127.0.1.1 {self.name}\n"
        (self.card / "etc/hosts").write_text(hosts, encoding="ascii")
        public = self.key.with_suffix(".pub").read_text("ascii")
        root = root_of(self.suite)
        for home, owner in (("root", 0), (f"home/{USER}", _uid(root, USER))):
            folder = self.card / home / ".ssh"
            folder.mkdir(parents=True)
            (folder / "authorized_keys").write_text(public, encoding="ascii")
            for path in (folder.parent, folder, folder / "authorized_keys"):
                os.chown(path, owner, owner)
                path.chmod(0o600 if path.is_file() else 0o700)
        (self.card / "etc/ssh").mkdir()
        host_key = self.card / "etc/ssh/ssh_host_ed25519_key"
        subprocess.run([*_KEYGEN, str(host_key)], check=True, timeout=60)


@contextlib.contextmanager
def boxes_on(net: Net, work: Path, **suites: str) -> Iterator[dict[str, Box]]:
    """Make boxes (name=Debian release), none of them switched on; all are ended afterwards."""
    work.mkdir(parents=True, exist_ok=True)
    key = work / "id_ed25519"
    subprocess.run([*_KEYGEN, str(key)], check=True, timeout=60)
    made = {n: Box(n, s, net, work / n, key) for n, s in suites.items()}
    for box in made.values():
        box.work.mkdir()
    with contextlib.ExitStack() as stack:
        for box in made.values():
            stack.callback(shutil.rmtree, box.work, ignore_errors=True)
            stack.callback(box.switch_off)
        yield made


def _uid(root: Path, user: str) -> int:
    lines = (root / "etc/passwd").read_text("utf-8").splitlines()
    return next(int(line.split(":")[2]) for line in lines if line.startswith(f"{user}:"))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"

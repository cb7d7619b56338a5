"""Root file systems of the boxes that boot in tests: Debian releases, built once and kept.

A root is what a fresh SD card has: systemd, sshd, no Redis. It is
never written to by a test: each box lies as an overlay above it.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

MIRROR = "http://deb.debian.org/debian"
BUILD_S = 900.0
TOOLS = ("debootstrap", "systemd-nspawn", "unshare", "ssh", "ssh-keygen", "ip", "nft")
PACKAGES = (
    "systemd",
    "systemd-sysv",
    "systemd-timesyncd",
    "udev",
    "dbus",
    "libpam-systemd",
    "openssh-server",
    "iproute2",
    "ca-certificates",
    "libffi8",  # what the Python that is brought in tests is linked against
    "sudo",
    "procps",
)
OWN_PYTHON = {"trixie": ("python3",)}
"""Releases whose own Python shall be used; the others have none, so that one must be brought."""

FETCHABLE = ("redis-server",)
"""Packages that apt can install on the boxes without a network."""

USER = "owner"
"""The user that people log in as, as on a Pi: sudo without a password."""


def why_no_boxes() -> str:
    """Return why no box can boot here; empty when it can."""
    if os.geteuid() != 0:
        return "booting boxes needs root"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        packages = "debootstrap, systemd-container, openssh-client, iproute2, nftables"
        return f"not installed: {', '.join(missing)} (Debian: {packages})"
    return ""


def cache_folder() -> Path:
    """Return where roots are kept: HOTSPARE_BOX_ROOTS, or the user's cache."""
    named = os.environ.get("HOTSPARE_BOX_ROOTS")
    return Path(named) if named else Path.home() / ".cache" / "hotspare-boxes"


def root_of(suite: str) -> Path:
    """Return the root file system of a Debian release, building it the first time.

    Raises:
        AssertionError: it could not be built; with the last lines of what was said.
    """
    with _alone(cache_folder()) as folder:
        return _root_of(suite, folder)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[Path]:
    """Let one process after the other build what is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def _root_of(suite: str, folder: Path) -> Path:
    done = folder / f"{suite}-{len(PACKAGES)}"
    if done.exists():
        return done
    making = folder / f".{suite}-{os.getpid()}"
    shutil.rmtree(making, ignore_errors=True)
    packages = ",".join((*PACKAGES, *OWN_PYTHON.get(suite, ())))
    command = ["debootstrap", "--variant=minbase", f"--include={packages}"]
    built = subprocess.run(
        [*command, suite, str(making), MIRROR],
        capture_output=True,
        text=True,
        timeout=BUILD_S,
        check=False,
    )
    assert built.returncode == 0, f"debootstrap {suite}:\n{built.stdout[-2000:]}{built.stderr}"
    _prepare(making)
    making.rename(done)
    return done


def _prepare(root: Path) -> None:
    """Make it what a fresh card is: a user with sudo, host keys of its own at first boot."""
    subprocess.run(
        ["chroot", str(root), "useradd", "-m", "-s", "/bin/bash", USER], check=True, timeout=60
    )
    rule = root / "etc/sudoers.d/010_owner-nopasswd"
    rule.write_text(f"{USER} ALL=(ALL) NOPASSWD: ALL\n", encoding="ascii")
    rule.chmod(0o440)
    (root / "etc/machine-id").write_text("", encoding="ascii")
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    # the boxes have no way out of the lab: what a deployment may install lies there already
    for words in (("update", "-qq"), ("install", "-y", "-qq", "--download-only", *FETCHABLE)):
        subprocess.run(
            ["chroot", str(root), "apt-get", *words],
            check=True,
            capture_output=True,
            timeout=BUILD_S,
        )
    # no sleeping for a network device that the lab has set up already
    for unit in ("systemd-networkd-wait-online.service", "apt-daily.timer"):
        link = root / "etc/systemd/system" / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")


def python_archive(into: Path) -> Path:
    """Make an archive of a Python that no box has, as python-build-standalone's would be.

    Boxes in tests have no way to GitHub; Debian's own interpreter, taken out of its packages,
    serves as well: it finds its library beside itself.

    Raises:
        AssertionError: the packages could not be had.
    """
    with _alone(into):
        return _python_archive(into)


def _python_archive(into: Path) -> Path:
    made = into / "python-3.11.tar.gz"
    if made.exists():
        return made
    folder = into / "python-packages"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    names = ("python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib")
    got = subprocess.run(
        ["apt-get", "download", "-qq", *names],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=BUILD_S,
        check=False,
    )
    assert got.returncode == 0, got.stderr
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg", "-x", str(package), str(folder / "x")], check=True, timeout=60)
    (folder / "x/usr").rename(folder / "python")
    part = made.with_suffix(".part")
    words = ["tar", "-czf", str(part), "-C", str(folder), "python/bin", "python/lib"]
    subprocess.run(words, check=True, timeout=300)
    part.rename(made)
    return made

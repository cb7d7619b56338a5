"""What a box is, as board/facts.sh says it, and whether it can run what it should. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

NODE_ARCHITECTURES = {
    "amd64": "x86_64",
    "x86_64": "x86_64",
    "arm64": "aarch64",
    "aarch64": "aarch64",
}
OLDEST_GLIBC = (2, 27)
OLDEST_SYSTEMD = 237
NODE_FREE_MB = 800
"""Two releases with their environments (about 250 MB each), journal and logs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxFacts:
    """One look at a box. Empty text and None stand for what it did not say."""

    architecture: str
    glibc: tuple[int, ...]
    systemd: int | None
    free_mb: int | None
    python: str
    python_version: str
    brought_python: str
    brought_version: str
    store_server: str
    store_version: str
    has_apt: bool
    knows_system_service: bool
    has_memory_limit: bool
    is_time_synchronised: bool | None
    time_service: str
    """What sets the clock just now."""
    is_time_service_enabled: bool
    can_set_ntp: bool
    """Whether `timedatectl set-ntp` finds a service that it could switch on."""
    has_watchdog: bool
    watchdog_set_by: str
    """Who, not we, has told PID 1 what to do with the watchdog: a file as a rule."""
    compatible: tuple[str, ...]
    """The board by its device tree, from the most exact name to the chip."""
    addresses: tuple[str, ...]
    user: str
    sudo: str
    node: str
    """Which node is deployed there."""
    release: str
    settings: str

    @property
    def wheel_architecture(self) -> str | None:
        """The architecture as wheels call it, None when no node can run there."""
        return NODE_ARCHITECTURES.get(self.architecture)


def read_facts(text: str) -> BoxFacts:
    """Read what facts.sh printed; lines that are not `name=value` are skipped."""
    said = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    synchronised = said.get("time_synchronised", "")
    return BoxFacts(
        architecture=said.get("architecture", ""),
        glibc=_version(said.get("glibc", "")),
        systemd=_number(said, "systemd"),
        free_mb=_number(said, "free_mb"),
        python=said.get("python", ""),
        python_version=said.get("python_version", ""),
        brought_python=said.get("brought_python", ""),
        brought_version=said.get("brought_version", ""),
        store_server=said.get("store_server", ""),
        store_version=said.get("store_version", ""),
        has_apt=said.get("has_apt") == "yes",
        knows_system_service=said.get("knows_system_service") == "yes",
        has_memory_limit=said.get("memory_limit") == "yes",
        is_time_synchronised={"yes": True, "no": False}.get(synchronised),
        time_service=said.get("time_service", ""),
        is_time_service_enabled=said.get("time_service_enabled") == "yes",
        can_set_ntp=said.get("can_set_ntp") == "yes",
        has_watchdog=said.get("has_watchdog") == "yes",
        watchdog_set_by=said.get("watchdog_set_by", ""),
        compatible=tuple(said.get("compatible", "").split()),
        addresses=tuple(said.get("addresses", "").split()),
        user=said.get("user", ""),
        sudo=said.get("sudo", ""),
        node=said.get("node", ""),
        release=said.get("release", ""),
        settings=said.get("settings", ""),
    )


def why_unfit(facts: BoxFacts, *, is_node: bool) -> tuple[str, ...]:
    """Return every reason why this box cannot be what it should, each with what mends it."""
    found = []
    if is_node and facts.wheel_architecture is None:
        found.append(
            f"its system is {facts.architecture or 'of an unknown kind'}, not 64-bit ARM or x86-64"
            "\n    → install the 64-bit image of this board (a witness may stay 32-bit)"
        )
    if is_node and facts.glibc and facts.glibc < OLDEST_GLIBC:
        found.append(
            f"its glibc is {_dotted(facts.glibc)}, older than {_dotted(OLDEST_GLIBC)}"
            "\n    → install a newer system image (JetPack 4.6, Raspberry Pi OS)"
        )
    if facts.systemd is None or facts.systemd < OLDEST_SYSTEMD:
        found.append(
            f"its systemd is {facts.systemd or 'not there'}; {OLDEST_SYSTEMD} or newer is needed"
            "\n    → use an image with systemd (every Raspberry Pi OS and JetPack 4.6 has it)"
        )
    if is_node and facts.free_mb is not None and facts.free_mb < NODE_FREE_MB:
        found.append(
            f"only {facts.free_mb} MB are free below /opt, {NODE_FREE_MB} MB are needed"
            "\n    → free some space (df -h), or use a larger card"
        )
    if facts.sudo == "none":
        found.append(
            f"user {facts.user} cannot become root there\n    → log in as a user that may use sudo"
        )
    if not facts.store_server and not facts.has_apt:
        found.append("no redis-server, and no apt to install it\n    → install Redis or Valkey")
    return tuple(found)


def warnings_about(facts: BoxFacts) -> tuple[str, ...]:
    """Return what the owner should know about this box, though it will run."""
    found = []
    if not facts.has_memory_limit:
        found.append(
            "its kernel ignores memory limits; on a Pi add `cgroup_enable=memory` to "
            "/boot/firmware/cmdline.txt and reboot, else a leak takes the box instead of the node"
        )
    if facts.is_time_synchronised is not True:
        found += _clock_warnings(facts)
    if not facts.has_watchdog:
        found.append("it has no hardware watchdog (/dev/watchdog0): a hung kernel stays hung")
    elif facts.watchdog_set_by:
        found.append(
            f"its hardware watchdog is left as it is: {facts.watchdog_set_by} says what systemd "
            "does with it"
        )
    return tuple(found)


def _clock_warnings(facts: BoxFacts) -> Iterator[str]:
    if facts.time_service:
        if facts.is_time_synchronised is False:
            yield (
                f"its clock is not synchronised (yet): {facts.time_service} runs, see "
                "`timedatectl status` there"
            )
    elif facts.is_time_service_enabled:
        yield (
            "the service that should set its clock does not run: see "
            "`systemctl status systemd-timesyncd` (or chrony) there"
        )
    elif not facts.can_set_ntp:
        yield (
            "nothing sets its clock, and nothing is there that could: "
            "`sudo apt install systemd-timesyncd` (or chrony) there, then deploy again"
        )


def _number(said: Mapping[str, str], name: str) -> int | None:
    digits = said.get(name, "")
    return int(digits) if digits.isdigit() else None


def _version(text: str) -> tuple[int, ...]:
    parts = text.split(".")
    return tuple(int(p) for p in parts) if all(p.isdigit() for p in parts) else ()


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(v) for v in version)

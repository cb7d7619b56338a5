"""What a box should have, as values, and as the lines that board/apply.sh reads.

Pure. A list of wants says the same however often it is applied; what already holds is left alone.
"""

from dataclasses import dataclass

FORBIDDEN = ("\t", "\n", "\0")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A system user that nobody can log in as."""

    name: str
    home: str

    def line(self) -> str:
        """Return it as apply.sh reads it."""
        return _fields("user", self.name, self.home)


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """A directory; `mode` in octal digits without a leading zero, `owner` as user:group."""

    path: str
    mode: str = "755"
    owner: str = "root:root"

    def line(self) -> str:
        """Return it as apply.sh reads it."""
        return _fields("dir", self.path, self.mode, self.owner)


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file with its whole content; a secret one is never shown, and 0600 or tighter."""

    path: str
    content: bytes
    mode: str = "644"
    owner: str = "root:root"
    is_secret: bool = False

    def __post_init__(self) -> None:
        assert not self.is_secret or self.mode in {"600", "400"}, self.path

    def __repr__(self) -> str:
        return f"File({self.path!r}, mode={self.mode}, owner={self.owner})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A symbolic link, switched in one step."""

    path: str
    target: str

    def line(self) -> str:
        """Return it as apply.sh reads it."""
        return _fields("link", self.path, self.target)


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """Nothing is there."""

    path: str

    def line(self) -> str:
        """Return it as apply.sh reads it."""
        return _fields("absent", self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    """Packages of the distribution, installed without starting what they bring."""

    names: tuple[str, ...]

    def line(self) -> str:
        """Return it as apply.sh reads it."""
        return _fields("packages", " ".join(self.names))


@dataclass(frozen=True, slots=True, kw_only=True)
class Enabled:
    """A unit that is started at boot."""

    unit: str

    def line(self) -> str:
        """Return it as apply.sh reads it."""
        return _fields("enabled", self.unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A unit that runs with this fingerprint in its environment; restarted where it does not."""

    unit: str
    fingerprint: str

    def line(self) -> str:
        """Return it as apply.sh reads it."""
        return _fields("running", self.unit, self.fingerprint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A timer that waits for its time, as it and its service are written now."""

    unit: str

    def line(self) -> str:
        """Return it as apply.sh reads it."""
        return _fields("started", self.unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """A unit that neither runs nor is started at boot."""

    unit: str

    def line(self) -> str:
        """Return it as apply.sh reads it."""
        return _fields("stopped", self.unit)


Want = User | Directory | File | Link | Absent | Packages | Enabled | Running | Started | Stopped


@dataclass(frozen=True, slots=True)
class Stage:
    """What is sent to the box: the lines, and the contents that they name, by name."""

    lines: str
    files: dict[str, bytes]


def to_stage(wants: tuple[Want, ...]) -> Stage:
    """Return the wants as apply.sh reads them."""
    lines: list[str] = []
    files: dict[str, bytes] = {}
    for want in wants:
        if isinstance(want, File):
            name = f"{len(files):03d}"
            files[name] = want.content
            secret = "yes" if want.is_secret else "no"
            lines.append(_fields("file", want.path, want.mode, want.owner, name, secret))
        else:
            lines.append(want.line())
    return Stage("".join(f"{line}\n" for line in lines), files)


def _fields(*words: str) -> str:
    for word in words:
        # an empty field would make sh read the next one in its place
        assert word, words
        assert not any(c in word for c in FORBIDDEN), words
    return "\t".join(words)

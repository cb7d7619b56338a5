"""What a box should have, as values, and as the lines that board/apply.sh reads.

Pure. A list of wants says the same however often it is applied; what already holds is left alone.
"""

from dataclasses import astuple, dataclass
from typing import ClassVar

FORBIDDEN = ("\t", "\n", "\0")
COPY = ".before"


@dataclass(frozen=True, slots=True)
class Listed:
    """A want that is said in one line: its kind, then its fields in their order."""

    KIND: ClassVar[str]

    def line(self) -> str:
        """Return it as apply.sh reads it."""
        fields = (value if isinstance(value, str) else " ".join(value) for value in astuple(self))
        return _fields(self.KIND, *fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class User(Listed):
    """A system user that nobody can log in as."""

    KIND: ClassVar[str] = "user"
    name: str
    home: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory(Listed):
    """A directory; `mode` in octal digits without a leading zero, `owner` as user:group."""

    KIND: ClassVar[str] = "dir"
    path: str
    mode: str = "755"
    owner: str = "root:root"


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file with its whole content; a secret one is never shown, and 0600 or tighter.

    `reader` is the unit that reads it at its start alone, and is started again after a change.
    """

    path: str
    content: bytes
    mode: str = "644"
    owner: str = "root:root"
    is_secret: bool = False
    reader: str = ""

    def __post_init__(self) -> None:
        assert not self.is_secret or self.mode in {"600", "400"}, self.path

    def __repr__(self) -> str:
        return f"File({self.path!r}, mode={self.mode}, owner={self.owner})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link(Listed):
    """A symbolic link, switched in one step."""

    KIND: ClassVar[str] = "link"
    path: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent(Listed):
    """Nothing is there."""

    KIND: ClassVar[str] = "absent"
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept(Listed):
    """A copy of a file as it is now lies beside it (COPY), as private as it is."""

    KIND: ClassVar[str] = "kept"
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Back(Listed):
    """A file is as its copy; the copy is gone. Without a copy it stays as it is."""

    KIND: ClassVar[str] = "back"
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages(Listed):
    """Packages of the distribution, installed without starting what they bring."""

    KIND: ClassVar[str] = "packages"
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Enabled(Listed):
    """A unit that is started at boot."""

    KIND: ClassVar[str] = "enabled"
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Running(Listed):
    """A unit that noted this fingerprint when it was started; restarted where it did not."""

    KIND: ClassVar[str] = "running"
    unit: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Started(Listed):
    """A timer that waits for its time, as it and its service are written now."""

    KIND: ClassVar[str] = "started"
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manager(Listed):
    """A setting of PID 1 as `systemctl show` names it; where it has another, it starts anew."""

    KIND: ClassVar[str] = "manager"
    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock(Listed):
    """Some service sets the clock from the network, at each boot."""

    KIND: ClassVar[str] = "clock"


Want = Listed | File


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
            reader = want.reader or "-"
            lines.append(_fields("file", want.path, want.mode, want.owner, name, secret, reader))
        else:
            lines.append(want.line())
    return Stage("".join(f"{line}\n" for line in lines), files)


def _fields(*words: str) -> str:
    for word in words:
        # an empty field would make sh read the next one in its place
        assert word, words
        assert not any(c in word for c in FORBIDDEN), words
    return "\t".join(words)

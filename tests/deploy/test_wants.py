"""Wants as the lines that apply.sh reads: nothing can slip into another field."""

import re

import pytest

from deploy.board import script
from deploy.wants import (
    Absent,
    Clock,
    Directory,
    Enabled,
    File,
    Link,
    Listed,
    Manager,
    Packages,
    Running,
    User,
    to_stage,
)


def test_each_want_is_one_line_and_contents_are_named() -> None:
    stage = to_stage(
        (
            User(name="hotspare", home="/var/lib/hotspare"),
            Directory(path="/etc/hotspare"),
            File(path="/etc/hotspare/a", content=b"one\n\ttwo\n"),
            File(path="/etc/hotspare/s", content=b"key", mode="600", is_secret=True),
            File(path="/etc/systemd/a.conf", content=b"[A]", reader="a.service"),
            Link(path="/opt/hotspare/current", target="/opt/hotspare/releases/1"),
            Absent(path="/etc/hotspare/old"),
            Packages(names=("redis-server", "sudo")),
            Enabled(unit="a.service"),
            Running(unit="a.service", fingerprint="f1"),
            Manager(name="RuntimeWatchdogUSec", value="1min"),
            Clock(),
        )
    )
    assert stage.lines.splitlines() == [
        "user\thotspare\t/var/lib/hotspare",
        "dir\t/etc/hotspare\t755\troot:root",
        "file\t/etc/hotspare/a\t644\troot:root\t000\tno\t-",
        "file\t/etc/hotspare/s\t600\troot:root\t001\tyes\t-",
        "file\t/etc/systemd/a.conf\t644\troot:root\t002\tno\ta.service",
        "link\t/opt/hotspare/current\t/opt/hotspare/releases/1",
        "absent\t/etc/hotspare/old",
        "packages\tredis-server sudo",
        "enabled\ta.service",
        "running\ta.service\tf1",
        "manager\tRuntimeWatchdogUSec\t1min",
        "clock",
    ]
    assert stage.files == {"000": b"one\n\ttwo\n", "001": b"key", "002": b"[A]"}


@pytest.mark.parametrize("path", ["/a\tb", "/a\nfile\t/etc/passwd", ""])
def test_a_field_that_would_break_the_line_is_our_own_bug(path: str) -> None:
    with pytest.raises(AssertionError):
        to_stage((Absent(path=path),))


def test_a_secret_is_never_readable_by_others() -> None:
    with pytest.raises(AssertionError):
        File(path="/etc/hotspare/s", content=b"key", mode="644", is_secret=True)


def test_contents_never_show_in_a_representation() -> None:
    assert "hunter2" not in repr(File(path="/s", content=b"hunter2", mode="600", is_secret=True))


def test_the_script_on_the_box_knows_each_kind_and_no_other() -> None:
    kinds = {want.KIND for want in Listed.__subclasses__()} | {"file"}
    assert kinds == set(re.findall(r"(?m)^    (\w+)\) want_", script("apply.sh")))

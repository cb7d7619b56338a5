"""The scripts that run on a box: POSIX sh without a word from shellcheck."""

import os
import re
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest

from deploy import places
from deploy.wants import COPY, Back, File, Kept, Want, to_stage

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "deploy" / "board").glob("*.sh"))


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.name)
def test_shellcheck_finds_nothing(path: Path) -> None:
    done = subprocess.run(
        ["shellcheck", "--shell=sh", str(path)], capture_output=True, text=True, check=False
    )
    assert done.stdout == ""


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.name)
def test_no_script_takes_a_secret_as_a_word(path: Path) -> None:
    """What is a word of a command line, everybody on the box can read."""
    text = path.read_text("utf-8").lower()
    assert "password" not in text.replace("say sudo password", "")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.name)
def test_a_script_uses_the_places_that_the_laptop_knows(path: Path) -> None:
    known = {value for value in vars(places).values() if isinstance(value, str)}
    used = re.findall(
        r"/(?:opt|etc|run|var/lib|var/backups)/hotspare[\w-]*", path.read_text("utf-8")
    )
    assert set(used) <= known


def test_the_scripts_know_the_same_services_that_set_a_clock() -> None:
    """facts.sh says whether one is there, apply.sh switches one on where none is."""
    lists = {
        found.group(1)
        for path in SCRIPTS
        for found in re.finditer(r'^CLOCKS="([^"]+)"', path.read_text("utf-8"), re.MULTILINE)
    }
    assert len(lists) == 1


def test_a_card_is_told_by_the_user_whose_folder_it_is() -> None:
    """Root would follow a link that a node which was taken over put there."""
    if os.geteuid() != 0:
        pytest.skip("acting for another user needs root")
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        target = Path(folder) / "of-root"
        target.write_text("root's")
        target.chmod(0o644)
        state = Path(folder) / "state"
        state.mkdir()
        (state / "control.restored.new").symlink_to(target)
        shutil.chown(state, "nobody")
        script = ROOT / "deploy/board/returning.sh"
        subprocess.run(
            ["sh", str(script), str(state), "nobody"], timeout=60, capture_output=True, check=False
        )
        assert (target.read_text(), target.stat().st_uid) == ("root's", 0)
        (state / "control.restored.new").unlink()
        subprocess.run(["sh", str(script), str(state), "nobody"], timeout=60, check=True)
        assert (state / "control.restored").owner() == "nobody"


def test_what_would_change_is_one_line_each_also_after_a_file_without_a_last_line_end(
    tmp_path: Path,
) -> None:
    """The next change hid at the end of such a file's text, and was not counted."""
    files = tuple(File(path=f"/nowhere/{n}.json", content=b"{\n}") for n in "ab")
    stage = to_stage(files)
    (tmp_path / "files").mkdir()
    (tmp_path / "wants").write_text(stage.lines)
    for name, content in stage.files.items():
        (tmp_path / "files" / name).write_bytes(content)
    done = subprocess.run(
        ["sh", str(ROOT / "deploy/board/apply.sh"), str(tmp_path), "dry"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    shown = "would\tfile /nowhere/{}.json\n    +{{\n    +}}\n"
    assert done.stdout == shown.format("a") + shown.format("b")


def applied(root: Path, *wants: Want) -> str:
    """Run apply.sh with its own folders below `root`; return what it said."""
    stage = root / "stage"
    (stage / "files").mkdir(parents=True, exist_ok=True)
    text = (ROOT / "deploy/board/apply.sh").read_text("utf-8")
    for folder in ("/run/", "/var/lib/"):
        (root / folder[1:]).mkdir(parents=True, exist_ok=True)
        text = text.replace(f"{folder}hotspare-deploy", f"{root}{folder}hotspare-deploy")
    listed = to_stage(wants)
    (stage / "wants").write_text(listed.lines)
    for name, content in listed.files.items():
        (stage / "files" / name).write_bytes(content)
    done = subprocess.run(
        ["sh", "-c", text, "apply.sh", str(stage)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def test_a_kept_file_comes_back_as_it_was_and_as_private(tmp_path: Path) -> None:
    secrets, copy = tmp_path / "jetson.toml", tmp_path / f"jetson.toml{COPY}"
    secrets.write_text("old")
    secrets.chmod(0o600)
    assert applied(tmp_path, Kept(path=str(secrets))) == f"same\tkept {secrets}\n"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    secrets.write_text("new")

    said = applied(tmp_path, Back(path=str(secrets)))
    assert said == f"changed\tfile {secrets}, as it was\n"
    assert (secrets.read_text(), stat.S_IMODE(secrets.stat().st_mode)) == ("old", 0o600)
    assert not copy.exists()
    assert applied(tmp_path, Back(path=str(secrets))) == f"same\tback {secrets}\n"
    # a switch that broke off leaves the copy: uninstalling the box takes it away
    assert f"file\t{copy}\n" in (tmp_path / "var/lib/hotspare-deploy/made").read_text()

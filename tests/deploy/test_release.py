"""hotspare's own wheel is there whole, or not at all."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from deploy import release


def test_a_wheel_whose_building_was_stopped_is_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name is that of the sources: a cut one would be sent to boxes until these change."""
    folder = tmp_path / "own" / "0.1.0-abc"
    breaks = iter((True, False))

    def build(command: list[str], **_: Any) -> "subprocess.CompletedProcess[str]":
        into = Path(command[command.index("-w") + 1])
        into.mkdir(parents=True)
        wheel = into / "hotspare-0.1.0-py3-none-any.whl"
        if next(breaks):
            wheel.write_text("who")
            raise KeyboardInterrupt
        wheel.write_text("whole")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(release, "ROOT", tmp_path)
    monkeypatch.setattr(subprocess, "run", build)
    with pytest.raises(KeyboardInterrupt):
        release._own_wheel(folder)
    assert release._own_wheel(folder).read_text() == "whole"
    assert release._own_wheel(folder).read_text() == "whole"

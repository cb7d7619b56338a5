"""What is typed after `make` reaches the deployment as it was typed."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHOW = 'shown: ; @printf "%s|" "$$HOST" "$$NAME" "$$BOX" "$$FILE"'


def shown(environ: dict[str, str], *words: str) -> list[str]:
    """Return HOST, NAME, BOX and FILE as a command of the Makefile sees them."""
    done = subprocess.run(
        ["make", "-s", f"--eval={SHOW}", "shown", *words],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.split("|")[:-1]


def test_the_shells_own_host_and_name_are_no_box_and_no_cluster() -> None:
    """openSUSE and tcsh export HOST, WSL exports NAME: the laptop would be deployed to."""
    shell = {"HOST": "laptop", "NAME": "laptop", "BOX": "jetson"}
    assert shown(shell) == ["", "", "jetson", ""]
    assert shown(shell, "HOST=pi@192.168.1.20") == ["pi@192.168.1.20", "", "jetson", ""]


def test_spaces_and_quotes_arrive() -> None:
    assert shown({}, "NAME=it's", "FILE=a b.tar.gz") == ["", "it's", "", "a b.tar.gz"]

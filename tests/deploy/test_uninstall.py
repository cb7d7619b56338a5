"""What uninstall.sh leaves for a later run, on folders of this test."""

import subprocess
from pathlib import Path

import pytest

from deploy.board import script

STUBS = ("systemctl", "getent", "dpkg-query", "apt-get")
USERDEL = '#!/bin/sh\ntouch "$(dirname "$0")/user-is-gone"\n'


class Card:
    """A card on which a deployment noted what it made; paths of the script lie below it."""

    def __init__(self, root: Path) -> None:
        """With a state that a node wrote."""
        self.root = root
        self.made = root / "var/lib/hotspare-deploy/made"
        self.state = root / "var/lib/hotspare/jetson"
        self.settings = root / "etc/hotspare/settings"
        for folder in (self.made.parent, self.state, self.settings, root / "run", root / "bin"):
            folder.mkdir(parents=True)
        self.made.write_text(
            f"user\thotspare\ndir\t{root}/etc/hotspare\ndir\t{root}/var/lib/hotspare\n"
        )
        for name in STUBS:
            self._stub(name, "#!/bin/sh\nexit 0\n")
        self._stub("userdel", USERDEL)

    def _stub(self, name: str, text: str) -> None:
        path = self.root / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    @property
    def has_user(self) -> bool:
        """Whether the user is there."""
        return not (self.root / "bin/user-is-gone").exists()

    def uninstall(self, *words: str) -> str:
        """Run the script with its folders moved here; return what it said."""
        text = script("uninstall.sh")
        for folder in ("/var/", "/etc/", "/opt/", "/run/"):
            text = text.replace(folder, f"{self.root}{folder}")
        done = subprocess.run(
            ["sh", "-s", "--", *words],
            input=text,
            env={"PATH": f"{self.root}/bin:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout


@pytest.fixture
def card(tmp_path: Path) -> Card:
    return Card(tmp_path)


def test_a_state_that_was_kept_goes_with_a_later_run(card: Card) -> None:
    """It was ours: forgotten in the book, it and its user stayed on the box for ever."""
    said = card.uninstall("keep-state")
    assert (card.state.exists(), card.has_user, card.settings.exists()) == (True, True, False)
    assert "remove" in said
    assert "changed" not in card.uninstall("keep-state")
    assert card.state.exists()

    said = card.uninstall()
    assert f"changed\tremove {card.root}/var/lib/hotspare\n" in said
    assert (card.state.exists(), card.has_user, card.made.parent.exists()) == (False, False, False)
    assert "nothing of hotspare is here" in card.uninstall()

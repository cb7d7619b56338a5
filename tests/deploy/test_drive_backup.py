"""The Jetson's card is lost while the pair trades, and comes back from a backup."""

from pathlib import Path

import pytest

from deploy import places
from exchange.journal import merge
from exchange.journal_file import parse_journal
from node.backup.pack import unpack
from tests.deploy.conftest import HomeMaker
from tests.deploy.home import JETSON, PI, ROOT, Home
from tests.deploy.test_drive import changes_of, deploy_both
from tests.deploy.test_drive_witness import judge, wait_order

pytestmark = [pytest.mark.boxes, pytest.mark.timeout(2400)]

PASSPHRASE = "a sentence that nobody guesses"
TIMER = places.BACKUP_TIMER


def journal_of(home: Home, name: str) -> bytes:
    """Return the journal on a box's card."""
    return (home.boxes[name].card / f"var/lib/hotspare/{name}/journal").read_bytes()


def known_takeovers(content: bytes) -> set[int]:
    """Return the epochs whose takeover a journal tells."""
    documents = parse_journal(content, Path("journal")).documents
    return set(merge([("it", documents)]).journal.takeovers)


def pulled(home: Home, name: str) -> Path:
    """Return the newest backup of a box on the laptop."""
    return max((home.cluster / "backups").glob(f"*-{name}-*.tar.gz"))


def see_the_timer(home: Home, name: str) -> None:
    """The box backs itself up, only its own user can read that, and a failure is seen."""
    box = home.boxes[name]
    assert "hotspare-backup" in box.run(f"systemctl list-timers --no-pager {TIMER}")
    box.run(f"systemctl start {places.BACKUP_UNIT}")
    listed = box.run(f"stat -c '%a %U %n' {places.BACKUPS} {places.BACKUPS}/*").split("\n")
    assert listed[0] == f"700 hotspare {places.BACKUPS}"
    assert listed[1].startswith(f"600 hotspare {places.BACKUPS}/hotspare-")
    note = f"{places.STATE}/{name}/backups.json"
    assert '"problem": ""' in box.run(f"cat {note}")

    box.run(f"chown root {places.BACKUPS}")
    assert box.ssh(f"sudo systemctl start {places.BACKUP_UNIT}").returncode != 0
    said = box.run(f"journalctl -u {places.BACKUP_UNIT} -p crit -o cat --no-pager")
    assert f"no backup of {name}" in said
    assert "Permission denied" in box.run(f"cat {note}")
    box.run(f"chown hotspare {places.BACKUPS}")
    box.run(f"systemctl start {places.BACKUP_UNIT}")


def back_up_while_it_trades(home: Home) -> Path:
    """Pull backups of both boxes and return the Jetson's; no secret can be read in them."""
    home.environ["HOTSPARE_BACKUP_PASSPHRASE"] = PASSPHRASE
    said = home.must("backup", WITH_SECRETS="1")
    assert said.count("tried here") == 2
    file = pulled(home, JETSON)
    assert file.stat().st_mode & 0o777 == 0o600
    manifest, members = unpack(file.read_bytes())
    assert manifest.epoch == home.status(PI)["epoch"]
    for secret in (*home.secrets, PASSPHRASE):
        assert not [n for n, content in members.items() if secret.encode() in content]
        assert secret not in said
    return file


def lose_the_card(home: Home) -> Path:
    """The Jetson's card dies with the box on, a fresh one is put in; return the old one's log."""
    assert home.boxes[JETSON].pull().is_silent
    home.wait(lambda: home.leader(PI) == PI, "the Pi takes over")
    return home.fresh_card(JETSON)


def refuse_wrong_files(home: Home, file: Path) -> None:
    """A damaged one and the other node's are refused before the box is touched."""
    damaged = home.folder / "damaged.tar.gz"
    damaged.write_bytes(file.read_bytes()[:-100])
    foreign = "node raspberrypi, this is jetson"
    for wrong, why in ((damaged, "damaged"), (pulled(home, PI), foreign)):
        made = home.make("restore", ROOT, {"BOX": JETSON, "FILE": str(wrong)})
        assert (made.code, why in made.said) == (2, True), made.said
    assert home.boxes[JETSON].ssh("ls /etc/hotspare").returncode != 0


def test_the_jetsons_card_is_lost_and_comes_back_from_a_backup(make_home: HomeMaker) -> None:
    home = make_home(jetson="bookworm", raspberrypi="trixie", has_venue=True)
    archive = {"PYTHON_ARCHIVE": home.environ["PYTHON_ARCHIVE_FOR_OLD"]}
    if deploy_both(home) != JETSON:
        home.boxes[PI].ssh("nodectl switchover --to jetson")
        home.wait_trading(PI, JETSON)
    wait_order(home, JETSON)
    see_the_timer(home, PI)
    file = back_up_while_it_trades(home)
    manifest, members = unpack(file.read_bytes())
    known = known_takeovers(members["state/journal"])
    assert known
    wait_order(home, JETSON)

    old_log = lose_the_card(home)
    refuse_wrong_files(home, file)
    restored = home.must("restore", BOX=JETSON, FILE=str(file), **archive)
    assert "changed state of the node, from the backup" in restored
    assert f"epoch {manifest.epoch}" in restored
    assert not [secret for secret in home.secrets if secret in restored]

    # it is the spare of a leader that went on, and knows what it knew
    assert home.wait_trading(PI, PI) == PI
    assert JETSON in home.status(PI)["spares"]
    assert home.status(PI)["epoch"] > manifest.epoch
    wait_order(home, PI)
    again = home.make("restore", ROOT, {"BOX": JETSON, "FILE": str(file), **archive})
    assert (again.code, "knows more than a backup" in again.said) == (2, True), again.said
    assert changes_of(again.said) == []

    # and it can lead again
    home.boxes[PI].ssh("nodectl switchover --to jetson")
    home.wait_trading(PI, JETSON)
    wait_order(home, JETSON)
    judge(home, old_log)
    after = known_takeovers(journal_of(home, JETSON))
    assert known < after
    assert max(after) > manifest.epoch

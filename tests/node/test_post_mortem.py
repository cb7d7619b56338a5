"""How long a successor must wait after a death: zero only with proof (R10, R16)."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from election.address import StoreAddress
from election.fence_note import FenceNote, read_end
from election.grant_note import GrantLeft, GrantNote, read_boot_id, read_grant
from election.model import Incarnation, StoreName
from election.post_mortem import Epitaph
from election.state_lock import StateClaim
from exchange.identity import IdParts, cluster_tag, encode, node_tag
from exchange.intents import IntentRecord, IntentState
from exchange.journal import Journal
from exchange.journal_file import JournalFile, read_journal
from exchange.model import OrderIntent, OrderType, Side, TimeInForce
from node.cli.main import hook_directory
from node.crash_file import read_book, write_book
from node.crashes import ASKED_FOR, Crash, CrashBook
from node.post_mortem import Autopsy, Supervisor, examine, judge_drain
from node.release_hook import read_secrets, run_hook, with_users
from node.state_files import JOURNAL_FILE
from tests.support.redis_servers import identity_of

WHOLE_MS = 1500 + 250
EPOCH = 7


def write_grant(state_dir: Path, *, epoch: int = EPOCH, **facts: object) -> GrantLeft:
    note = GrantNote(
        state_dir,
        identity=identity_of("c", nonce="n1"),
        addresses=[],
        facts={"window_ms": 1500, "effect_tail_ms": 250, **facts},
    )
    note.held(epoch, {StoreName("x"): Incarnation("a:b")})
    assert note.wait_written(20)
    left = read_grant(state_dir)
    assert left is not None
    return left


def write_fence_note(
    state_dir: Path, *, epoch: int = EPOCH, in_flight: int = 0, lingers_s: float = 0.0
) -> None:
    note = FenceNote(state_dir)
    note.armed(epoch, 1e12)
    note.in_flight(in_flight, time.clock_gettime(time.CLOCK_BOOTTIME) + lingers_s)


def write_journal(state_dir: Path, *states: IntentState) -> None:
    records = []
    for counter, state in enumerate(states):
        cid = encode(
            IdParts(
                cluster_tag=cluster_tag("c"),
                epoch=EPOCH,
                node_tag=node_tag("jetson"),
                counter=counter,
            )
        )
        intent = OrderIntent(
            client_order_id=cid,
            symbol="ETH/USDT",
            side=Side.BUY,
            type=OrderType.LIMIT,
            amount=Decimal(1),
            price=Decimal(100),
            time_in_force=TimeInForce.GTC,
            epoch=EPOCH,
            node_id="jetson",
            tag="t",
            created_wall_ms=1,
        )
        records.append(IntentRecord(intent=intent, state=state, deadline_venue_ms=1))
    journal, _ = Journal().edit(epoch=EPOCH, intents=records)
    file = JournalFile.open(state_dir / JOURNAL_FILE)
    file.replace_all(journal.documents())
    file.close()


def drain(state_dir: Path, left: GrantLeft) -> tuple[int, str]:
    return judge_drain(lambda: read_journal(state_dir / JOURNAL_FILE), left, read_end(state_dir))


def test_with_proof_the_successor_waits_for_nothing(tmp_path: Path) -> None:
    """A journal without an order under way, and a note of this grant that says none was."""
    left = write_grant(tmp_path)
    write_fence_note(tmp_path)
    write_journal(tmp_path, IntentState.OPEN)
    assert drain(tmp_path, left) == (0, "nothing was under way")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: write_journal(d, IntentState.JOURNALLED),
        lambda d: write_journal(d, IntentState.OPEN, IntentState.UNKNOWN),
        lambda d: write_fence_note(d, in_flight=1),
        lambda d: write_fence_note(d, lingers_s=600.0),
        lambda d: write_fence_note(d, epoch=EPOCH - 1),
        lambda d: (d / "fence-note.json").unlink(),
        lambda d: (d / JOURNAL_FILE).write_bytes(b"00000000 {}\n"),
        lambda d: (d / JOURNAL_FILE).write_bytes(b""),
        lambda d: (d / JOURNAL_FILE).unlink(),
        lambda d: _swap_for_folder(d / JOURNAL_FILE),
    ],
    ids=[
        "an order journalled",
        "an outcome unknown",
        "a cancel under way",
        "a cancel that timed out",
        "the note of an older grant",
        "no note",
        "a damaged journal",
        "an emptied journal",
        "no journal",
        "an unreadable journal",
    ],
)
def test_what_is_not_proven_is_waited_out(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    """The longest window of a request and the venue's effect tail."""
    left = write_grant(tmp_path)
    write_fence_note(tmp_path)
    write_journal(tmp_path, IntentState.OPEN)
    spoil(tmp_path)
    drain_ms, why = drain(tmp_path, left)
    assert drain_ms == WHOLE_MS, why


def test_figures_that_are_none_count_as_the_longest(tmp_path: Path) -> None:
    """A note of a later release, or garbage: never less than a venue may allow."""
    left = write_grant(tmp_path, window_ms="soon")
    assert drain(tmp_path, left)[0] == 60_000 + 250


def test_a_living_process_keeps_its_lease(tmp_path: Path) -> None:
    """The claim is taken first; who cannot get it does nothing and says so."""
    write_grant(tmp_path)
    said: list[str] = []
    with StateClaim(tmp_path):
        assert run_hook(tmp_path, say=said.append) == 0
    assert "nothing released" in said[0]
    assert str(os.getpid()) in said[0]
    assert read_grant(tmp_path) is not None
    assert read_book(tmp_path).crashes == ()


def test_a_copy_of_the_directory_releases_nothing(tmp_path: Path) -> None:
    """A copied SD card has a stop hook too; the original may be trading."""
    original, copy = tmp_path / "original", tmp_path / "copy"
    original.mkdir()
    write_grant(original)
    shutil.copytree(original, copy)
    said: list[str] = []
    assert run_hook(copy, say=said.append) == 0
    assert said == ["it was written in another directory; this one is a copy; nothing is released"]
    assert read_grant(copy) is not None


@pytest.mark.parametrize("kind", ["missing", "a file"])
def test_a_hook_never_stumbles(tmp_path: Path, kind: str) -> None:
    """Whatever the state directory is: words and a code, no traceback."""
    path = tmp_path / "state"
    if kind == "a file":
        path.write_text("")
    said: list[str] = []
    assert run_hook(path, say=said.append) == 0
    assert said


def test_a_directory_that_cannot_be_claimed_frees_nothing_and_says_so(tmp_path: Path) -> None:
    """A card that fails ends the process too: exit code 0 would say that the lease is free."""
    write_grant(tmp_path)
    (tmp_path / "claim").mkdir()  # nobody can open it for writing, not even root
    said: list[str] = []
    assert run_hook(tmp_path, say=said.append) == 1
    assert "cannot be written" in said[0]


def test_a_full_disk_keeps_no_hook_from_asking_the_stores(tmp_path: Path) -> None:
    """It needs to write nothing; what the dead process noted before is proof as ever."""
    (tmp_path / "claim").symlink_to("/dev/full")
    write_grant(tmp_path)
    write_fence_note(tmp_path)
    write_journal(tmp_path, IntentState.OPEN)
    said: list[str] = []
    run_hook(tmp_path, say=said.append)
    assert "(epoch 7" in said[0]
    assert "for 0 ms: nothing was under way" in said[1]


@pytest.mark.parametrize(
    ("supervisor", "noted"),
    [
        (Supervisor(result="signal", code="killed", status="KILL"), True),
        (Supervisor(result="watchdog", code="dumped", status="ABRT"), True),
        (Supervisor(result="oom-kill"), True),
        (Supervisor(result="exit-code", code="exited", status="4"), False),
        (Supervisor(result="success", code="exited", status="0"), False),
        (Supervisor(), False),
    ],
)
def test_a_death_that_held_nothing(tmp_path: Path, supervisor: Supervisor, *, noted: bool) -> None:
    """A standby that was killed is told and does not count; a refused start told it itself."""
    found = examine(
        tmp_path, login_of=lambda left: left, password_of=lambda _: None, supervisor=supervisor
    )
    assert found.left is None
    assert bool(read_book(tmp_path).crashes) is noted
    assert read_book(tmp_path).latch is None


@pytest.mark.parametrize(
    ("earlier_s", "boot_id", "noted"),
    [(15.0, None, False), (90.0, None, True), (15.0, "another", True), (-5.0, None, True)],
    ids=["the drill's own death", "long ago", "before the boot", "a clock that makes no sense"],
)
def test_the_end_of_a_hang_drill_is_no_surprise(
    tmp_path: Path, earlier_s: float, boot_id: str | None, *, noted: bool
) -> None:
    """The lease lapsed before the fence ended it: nobody is told of an unexpected death."""
    announced = Crash(
        nonce="n1",
        epoch=EPOCH,
        boot_id=boot_id or read_boot_id(),
        at_boottime_s=time.clock_gettime(time.CLOCK_BOOTTIME) - earlier_s,
        at_wall_ms=1,
        how="it ended in drill hang-1",
        why_not_counted=ASKED_FOR,
        was_told=True,
    )
    assert write_book(tmp_path, CrashBook(crashes=(announced,)))
    killed = Supervisor(result="signal", code="killed", status="KILL")
    examine(tmp_path, login_of=lambda left: left, password_of=lambda _: None, supervisor=killed)
    assert bool(read_book(tmp_path).untold()) is noted


def test_an_attempt_that_was_never_granted_is_no_crash_while_trading(tmp_path: Path) -> None:
    """The note is written before the asking; only an armed fence is proof of a grant."""
    write_grant(tmp_path)
    examine(
        tmp_path,
        login_of=lambda left: left,
        password_of=lambda _: None,
        supervisor=Supervisor(result="signal", code="killed", status="KILL"),
    )
    (noted,) = read_book(tmp_path).crashes
    assert noted.why_not_counted == "it held no lease"


@pytest.mark.parametrize(
    ("needed", "freed", "is_released"),
    [
        ("", "xy", True),
        ("", "x", False),
        ("x", "yz", False),
        ("x", "xz", True),
        ("x", "x", False),
        ("x", "", False),
    ],
)
def test_released_are_the_stores_that_decide(needed: str, freed: str, *, is_released: bool) -> None:
    """While the pair grows the old store among them: the note stays until it is free there too."""
    addresses = tuple(
        StoreAddress(
            name=StoreName(n), host="127.0.0.1", port=1, old_list="old" if n == needed else ""
        )
        for n in "xyz"
    )
    left = GrantLeft(
        identity=identity_of("c"),
        epoch=EPOCH,
        incs={},
        addresses=addresses,
        pid=1,
        boot_id="",
        directory="",
        facts={},
    )
    epitaphs = tuple(Epitaph(store=a.name, is_released=a.name in freed, said="") for a in addresses)
    assert Autopsy(left=left, reason="", epitaphs=epitaphs).is_released is is_released
    if not needed:  # a note that names no addresses is judged by what the stores said
        bare = replace(left, addresses=())
        assert Autopsy(left=bare, reason="", epitaphs=epitaphs).is_released is is_released


def test_the_weaker_login_is_used_when_there_is_one(tmp_path: Path) -> None:
    """Its user name goes with its password only."""
    left = write_grant(tmp_path, secrets=str(tmp_path / "s.toml"), release_users={"x": "releaser"})
    left = GrantLeft(
        **{**{n: getattr(left, n) for n in GrantLeft.__slots__}, "addresses": (_address(),)}
    )
    secrets = tmp_path / "s.toml"
    secrets.write_text('[stores.default]\npassword = "the whole"\n')
    secrets.chmod(0o600)
    tree, trouble = read_secrets(left, {})
    assert trouble == ""
    assert with_users(left, tree).addresses[0].username == "node"
    tree, _ = read_secrets(left, {"HOTSPARE_SECRET__STORES__DEFAULT__RELEASE_PASSWORD": "weak"})
    assert with_users(left, tree).addresses[0].username == "releaser"


def test_secrets_that_others_can_read_are_not_used(tmp_path: Path) -> None:
    """As for the node itself; the environment may still have what is needed."""
    secrets = tmp_path / "s.toml"
    secrets.write_text('[stores.default]\npassword = "the whole"\n')
    secrets.chmod(0o644)
    left = write_grant(tmp_path, secrets=str(secrets))
    tree, trouble = read_secrets(left, {"HOTSPARE_SECRET__STORES__X__PASSWORD": "of env"})
    assert "others can read it" in trouble
    assert "the whole" not in trouble
    assert tree == {"stores": {"x": {"password": "of env"}}}


@pytest.mark.parametrize(
    ("words", "is_hook"),
    [
        (["release", "--after-crash", "--state-dir", "/x"], True),
        (["release", "--state-dir", "/x", "--after-crash"], True),
        (["release", "--state-dir", "/x"], False),
        (["release", "--after-crash", "--state-dir", "--help"], False),
        (["release", "--after-crash"], False),
        (["status", "--after-crash", "--state-dir", "/x"], False),
        ([], False),
    ],
)
def test_only_the_hooks_own_words_take_the_short_way(words: list[str], *, is_hook: bool) -> None:
    """Everything else is Typer's to understand."""
    assert (hook_directory(words) is not None) is is_hook


def test_the_hook_imports_nothing_that_is_slow() -> None:
    """A hook that starts slowly is a slow failover: no pydantic, ccxt, redis-py, Typer, loguru."""
    code = (
        "import sys, node.release_hook, node.cli.main\n"
        "slow = {'pydantic', 'ccxt', 'redis', 'typer', 'loguru', 'rich', 'aiohttp', 'asyncio'}\n"
        "found = sorted(slow & set(sys.modules))\n"
        "sys.exit(', '.join(found) if found else 0)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr


def _address() -> StoreAddress:
    return StoreAddress(name=StoreName("x"), host="127.0.0.1", port=1, username="node")


def _swap_for_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()

"""What a backup is, what refuses it, and what of it comes back: never more freedom than before."""

import gzip
import io
import json
import tarfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.changes import Added, RowInput, Stepped
from alerts.codec import HEADER, parse_change, render_change
from alerts.outbox import Outbox
from election.control_record import ControlRecord, render_control
from election.epoch_file import parse_epoch
from exchange.journal import Journal
from exchange.journal_file import parse_journal, render_journal
from node.backup.manifest import (
    FORMAT,
    NAME,
    Manifest,
    member_of,
    parse_manifest,
    refuse_foreign,
    render_manifest,
)
from node.backup.members import highest_epoch, plan_state
from node.backup.pack import TOTAL_MAX, pack, unpack
from node.crashes import parse_book
from node.errors import BackupRefused
from node.teller import Teller
from node.untold import tell_untold
from tests.support.backed_up import event
from tests.support.journals import make_record
from tests.support.trading_rig import Ear

ANYWHERE = Path("journal")
NAMES = st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8}){0,2}", fullmatch=True).filter(lambda n: n != NAME)
CONTENTS = st.dictionaries(NAMES, st.binary(max_size=200), max_size=4)


def make_manifest(contents: dict[str, bytes], *, epoch: int = 5) -> Manifest:
    return Manifest(
        version="0.1.0",
        cluster_id="test-home",
        profile="test",
        node_id="jetson",
        taken_ms=1_800_000_000_000,
        epoch=epoch,
        members={name: member_of(content) for name, content in contents.items()},
    )


def made(contents: dict[str, bytes]) -> bytes:
    return pack(make_manifest(contents), contents)


def tar_of(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for entry, content in entries:
            entry.size = len(content) if entry.isreg() else 0
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(held.getvalue())


@given(CONTENTS)
def test_what_is_packed_comes_out_again(contents: dict[str, bytes]) -> None:
    manifest, found = unpack(made(contents))
    assert (manifest, dict(found)) == (make_manifest(contents), contents)
    assert made(contents) == made(contents)


@given(CONTENTS, st.integers(0, 10**6), st.integers(1, 255))
def test_a_changed_byte_is_refused_or_changed_nothing(
    contents: dict[str, bytes], place: int, mask: int
) -> None:
    """Bit rot anywhere: never another content, never another error than the refusal."""
    whole = made(contents)
    place %= len(whole)
    rotten = whole[:place] + bytes([whole[place] ^ mask]) + whole[place + 1 :]
    try:
        manifest, found = unpack(rotten)
    except BackupRefused:
        return
    assert (manifest, dict(found)) == (make_manifest(contents), contents)


@given(CONTENTS, st.integers(0, 10**6))
def test_a_cut_file_is_refused(contents: dict[str, bytes], length: int) -> None:
    whole = made(contents)
    with pytest.raises(BackupRefused, match="damaged"):
        unpack(whole[: length % len(whole)])
    with pytest.raises(BackupRefused, match="added"):
        unpack(whole + b"x")


@pytest.mark.parametrize("name", ["../escape", "/etc/passwd", "a/../../b", "./a"])
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    manifest = render_manifest(make_manifest({name: b"x"}))
    archive = tar_of((tarfile.TarInfo(NAME), manifest), (tarfile.TarInfo(name), b"x"))
    with pytest.raises(BackupRefused, match="no plain file"):
        unpack(archive)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE]
)
def test_what_is_no_plain_file_is_refused(kind: bytes) -> None:
    entry = tarfile.TarInfo("state/journal")
    entry.type, entry.linkname = kind, "/etc/passwd"
    manifest = render_manifest(make_manifest({"state/journal": b""}))
    with pytest.raises(BackupRefused, match="no plain file"):
        unpack(tar_of((tarfile.TarInfo(NAME), manifest), (entry, b"")))


def test_members_more_fewer_twice_or_exchanged_are_refused() -> None:
    manifest = (tarfile.TarInfo(NAME), render_manifest(make_manifest({"a": b"x"})))
    a, b = tarfile.TarInfo("a"), tarfile.TarInfo("b")
    for entries, why in (
        ([manifest], "not in both"),
        ([manifest, (a, b"x"), (b, b"x")], "not in both"),
        ([manifest, (a, b"x"), (a, b"x")], "there twice"),
        ([manifest, (a, b"y")], "SHA-256"),
        ([(a, b"x"), manifest], "does not begin with a manifest"),
    ):
        with pytest.raises(BackupRefused, match=why):
            unpack(tar_of(*entries))


def test_a_file_that_unpacks_to_too_much_is_refused_before_it_does() -> None:
    with pytest.raises(BackupRefused, match="more than"):
        unpack(gzip.compress(bytes(TOTAL_MAX + 1), compresslevel=1))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.sampled_from(sorted(json.loads(render_manifest(make_manifest({"a": b"x"}))))), JSON)
def test_a_manifest_of_other_shape_is_refused_and_nothing_else(field: str, value: object) -> None:
    body = json.loads(render_manifest(make_manifest({"a": b"x"})))
    body[field] = value
    try:
        found = parse_manifest(json.dumps(body).encode())
    except BackupRefused:
        return
    assert found.taken
    assert found.file_name


def test_a_newer_format_names_the_release_and_more_fields_do_not_matter() -> None:
    body = json.loads(render_manifest(make_manifest({})))
    body |= {"more": 1}
    assert parse_manifest(json.dumps(body).encode()) == make_manifest({})
    body |= {"hotspare_backup": FORMAT + 1, "version": "9.9"}
    with pytest.raises(BackupRefused, match=r"format 2.*\n.*hotspare 9\.9"):
        parse_manifest(json.dumps(body).encode())


def test_a_foreign_cluster_or_node_is_refused() -> None:
    manifest = make_manifest({})
    refuse_foreign(manifest, cluster_id="test-home", node_ids=("jetson", "raspberrypi"))
    with pytest.raises(BackupRefused, match="cluster test-home, this is prod-home"):
        refuse_foreign(manifest, cluster_id="prod-home", node_ids=("jetson",))
    with pytest.raises(BackupRefused, match="node jetson, this is raspberrypi"):
        refuse_foreign(manifest, cluster_id="test-home", node_ids=("raspberrypi",))


# --- what comes back -------------------------------------------------------------------------


def journal_at(epoch: int) -> bytes:
    _, change = Journal().edit(epoch=epoch, intents=[make_record(epoch=epoch)])
    return render_journal(change.puts)


@given(st.integers(0, 999), st.integers(1, 999), st.integers(0, 999))
def test_the_epoch_is_never_below_what_any_part_of_the_backup_names(
    disk: int, journal: int, said: int
) -> None:
    """R7: a floor may only grow, whichever file is damaged or missing."""
    state = {"epoch.json": f"epoch {disk}\n".encode(), "journal": journal_at(journal)}
    restored = plan_state(state, said_epoch=said)
    assert restored.epoch == max(disk, journal, said)
    assert parse_epoch(restored.files["epoch.json"].encode()) == restored.epoch
    assert plan_state(
        {"journal": state["journal"], "epoch.json": b"epoch"}, said_epoch=0
    ).epoch == (journal)
    assert highest_epoch(state) == max(disk, journal)


OUTBOX_STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "start", "deliver", "lose"]), st.integers(1, 6)), max_size=20
)


def outbox_after(steps: list[tuple[str, int]]) -> tuple[Outbox, list[str]]:
    outbox, lines = Outbox(), [HEADER]
    inputs = {"start": RowInput.START, "deliver": RowInput.DELIVERED, "lose": RowInput.ANSWER_LOST}
    for what, number in steps:
        if what == "put":
            changes = outbox.plan_put(event(f"e{number}"))
        else:
            changes = (Stepped(number=number, input=inputs[what]),)
        for change in changes:
            try:
                outbox.apply(change)
            except ValueError:
                continue  # no such step from there
            lines.append(render_change(change))
    return outbox, lines


@given(OUTBOX_STEPS)
def test_nothing_of_a_restored_outbox_is_sent_and_all_of_it_is_known(
    steps: list[tuple[str, int]],
) -> None:
    """S5: told once: what waited then may have been told since, by this node or the other."""
    before, lines = outbox_after(steps)
    content = "".join(f"{line}\n" for line in lines).encode() + b'{"half a li'
    text = plan_state({"outbox.jsonl": content}, said_epoch=0).files["outbox.jsonl"]
    after = Outbox()
    head, *rest = text.splitlines()
    assert head == HEADER
    for line in rest:
        after.apply(parse_change(line))
    assert after.rows == ()
    for number in range(1, 7):
        known = before.knows(f"e{number}")
        assert after.knows(f"e{number}") is known
    # a number is never given twice, so that an old step cannot hit a new row
    (added,) = after.plan_put(event("new"))
    assert isinstance(added, Added)
    assert added.number > max((row.number for row in before.rows), default=0)


@pytest.mark.parametrize("has_outbox", [True, False])
async def test_a_takeover_that_was_being_told_is_not_told_again(has_outbox: bool) -> None:
    """S5: between its journal and its outbox a backup may catch a takeover that was told since."""
    body = {"node_id": "jetson", "is_told": False}
    _, change = Journal().edit(
        epoch=5, takeovers={5: body, 4: {**body, "was_whole_cluster_off": True}}
    )
    state = {"journal": render_journal(change.puts)}
    if has_outbox:
        state["outbox.jsonl"] = f"{HEADER}\n".encode()
    files = plan_state(state, said_epoch=0).files
    documents = parse_journal(files["journal"].encode(), ANYWHERE).documents
    outbox = Outbox()
    for line in files["outbox.jsonl"].splitlines()[1:]:
        outbox.apply(parse_change(line))
    ear = Ear()
    await tell_untold(
        documents, "jetson", Teller(ear, cluster="c", node_id="jetson", epoch=lambda: 6)
    )
    assert len(ear.events) == 2
    assert all(outbox.knows(told.event_id) for told in ear.events)


@given(st.dictionaries(st.sampled_from(["pause", "cluster", "loss_limit"]), st.integers(1, 9)))
def test_control_records_come_back_beside_the_nodes_own_and_unchanged(
    versions: dict[str, int],
) -> None:
    """S6: all of them latch; none is taken for this disk's own (node/latches.py)."""
    texts = {
        kind: render_control(
            ControlRecord(kind=kind, version=v, value={"n": v}, by="a", at_ms=1, reason="")
        )
        for kind, v in versions.items()
    }
    files = plan_state({"control": render_journal(texts)}, said_epoch=0).files
    assert "control" not in files
    assert parse_journal(files["control.restored"].encode(), ANYWHERE).documents == texts


def test_what_must_never_come_back_does_not_and_a_card_never_counts_as_new() -> None:
    """S1: promises, grants and locks; S6: without any record it is still no first start."""
    state = dict.fromkeys(
        ("promise.json", "grant.json", "fence-note.json", "claim", "last-trading.json"),
        b'{"v": 1, "state": "none"}',
    )
    assert set(plan_state(state, said_epoch=0).files) == {"control.restored"}


def test_crashes_keep_their_latch_and_are_not_told_again() -> None:
    text = json.dumps(
        {
            "v": 1,
            "latch": {"id": "l1", "reason": "too often"},
            "crashes": [
                {
                    "nonce": "n", "epoch": 1, "boot_id": "b", "at_boottime_s": 1, "at_wall_ms": 1,
                    "how": "killed", "why_not_counted": "", "signature": "", "was_told": False,
                }
            ],
        }
    )  # fmt: skip
    restored = plan_state({"crashes.json": text.encode()}, said_epoch=0)
    book = parse_book(restored.files["crashes.json"])
    assert book.latch is not None
    assert book.untold() == ()
    damaged = plan_state({"crashes.json": b"{"}, said_epoch=0)
    assert "crashes.json" not in damaged.files
    assert "crash book" in damaged.notes[0]


@given(st.integers(1, 9), OUTBOX_STEPS)
def test_a_restored_state_that_is_backed_up_again_comes_back_the_same(
    epoch: int, steps: list[tuple[str, int]]
) -> None:
    lines = outbox_after(steps)[1]
    state = {
        "journal": journal_at(epoch),
        "outbox.jsonl": "".join(f"{line}\n" for line in lines).encode(),
        "control": render_journal({"pause": "{}"}),
    }
    once = plan_state(state, said_epoch=epoch)
    again = plan_state({n: t.encode() for n, t in once.files.items()}, said_epoch=0)
    assert again.files == once.files


def test_a_journal_of_a_newer_release_is_refused_and_damage_is_said() -> None:
    good = journal_at(3)

    text = b'{"hotspare_journal":9}'
    header = b"%08x " % zlib.crc32(text) + text + b"\n"
    with pytest.raises(BackupRefused, match="newer release"):
        plan_state({"journal": header}, said_epoch=0)
    restored = plan_state({"journal": good + b"rotten line\n"}, said_epoch=0)
    assert "1 damaged line" in restored.notes[0]
    assert parse_journal(restored.files["journal"].encode(), ANYWHERE).damaged_lines == 0

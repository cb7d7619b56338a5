"""A card that comes back knows less than the present: each rule of ADR 0051 and 0054 taken away."""

from tests.broken.variant import ByTests, Variant
from tests.support.edited import Edit

MEMBERS = "node/backup/members.py"
PLACE = "node/backup/place.py"
WATCH = "node/cluster_watch.py"
LATCHES = "node/latches.py"

PLAN = "tests/node/test_backup_core.py::"
CARD = "tests/node/test_backup.py::"
WATCHED = "tests/node/test_cluster_watch.py::"
MERGED = "tests/node/test_latches.py::"
BEGUN = "tests/deploy/test_begun.py::"
MADE = "tests/deploy/test_backup.py::"

_FLOOR = ByTests(tests=(f"{PLAN}test_the_epoch_is_never_below_what_any_part_of_the_backup_names",))
_NEVER = ByTests(
    tests=(f"{PLAN}test_what_must_never_come_back_does_not_and_a_card_never_counts_as_new",)
)
_ALONE = ByTests(tests=(f"{WATCHED}test_a_restored_disk_alone_stays_paused_and_tells_nobody",))
_MERGE = ByTests(tests=(f"{MERGED}test_latches_out_of_a_backup_latch_and_never_free",))
_OUTBOX = ByTests(
    tests=(f"{PLAN}test_nothing_of_a_restored_outbox_is_sent_and_all_of_it_is_known",)
)
_CRASHES = ByTests(tests=(f"{PLAN}test_crashes_keep_their_latch_and_are_not_told_again",))

VARIANTS = (
    Variant(
        name="restored-floor-without-the-journal",
        rules="R7, Restored card",
        removed="The epoch of a restored card is what the epoch file says, whatever the journal "
        "has seen.",
        harm="The epoch file is damaged or older than the journal beside it: an epoch whose orders "
        "are already at the venue is used a second time.",
        edits=(
            Edit(
                MEMBERS,
                "    if JOURNAL_FILE in state:\n        journal = ",
                "    if JOURNAL_FILE in ():\n        journal = ",
            ),
        ),
        proof=_FLOOR,
    ),
    Variant(
        name="restored-floor-without-the-manifest",
        rules="R7, Restored card",
        removed="The epoch that the backup's manifest names is not looked at.",
        harm="Epoch file and journal of the backup are damaged: the card begins at epoch 1 again.",
        edits=(Edit(MEMBERS, "found = [said, parse_epoch(", "found = [0, parse_epoch("),),
        proof=_FLOOR,
    ),
    Variant(
        name="promise-in-a-backup",
        rules="R14, Restored card",
        removed="A backup takes the promise along.",
        harm="What it says is of then: a node that has stood down since comes back from it and "
        "contends beside the holder that relied on its word.",
        edits=(
            Edit(
                MEMBERS,
                "    EPOCH_FILE,\n)\n# A directory",
                "    EPOCH_FILE, PROMISE_FILE,\n)\n# A directory",
            ),
        ),
        proof=ByTests(tests=(f"{CARD}test_a_backup_is_private_whole_and_holds_no_secret",)),
    ),
    Variant(
        name="restored-promise-comes-back",
        rules="R14, Restored card",
        removed="A promise that is in a backup is put onto the card.",
        harm="The card has a memory, and a false one: it does not ask the other node whether it "
        "has promised since, and two lead.",
        edits=(
            Edit(
                MEMBERS,
                "    _plan_control(draft, state)\n",
                "    _plan_control(draft, state)\n"
                "    draft.files[PROMISE_FILE] = state.get(PROMISE_FILE, b'').decode()\n",
            ),
        ),
        proof=_NEVER,
    ),
    Variant(
        name="restored-latches-as-own",
        rules="Journal and latches, Restored card",
        removed="Control records out of a backup are put back as this disk's own.",
        harm="The birth of the cluster is among them, and it proves that the cluster may trade: "
        "the pause that came after the backup is lifted by a restore.",
        edits=(
            Edit(
                MEMBERS,
                "draft.files[RESTORED_CONTROL_FILE] = render",
                "draft.files[CONTROL_FILE] = render",
            ),
        ),
        proof=ByTests(
            tests=(f"{PLAN}test_control_records_come_back_beside_the_nodes_own_and_unchanged",)
        ),
    ),
    Variant(
        name="restored-latches-prove-trading",
        rules="Journal and latches, Restored card",
        removed="A record out of a backup proves that the cluster may trade.",
        harm="Stores and both cards are lost, the backup is from before a pause: the cluster "
        "trades without a person.",
        edits=(
            Edit(
                LATCHES, "is_complete=proves_trading(found)", "is_complete=proves_trading(merged)"
            ),
        ),
        proof=_MERGE,
    ),
    Variant(
        name="restored-latches-do-not-latch",
        rules="Journal and latches, Restored card",
        removed="Records out of a backup do not count at all.",
        harm="A daily loss limit that was reached is forgotten with the stores.",
        edits=(Edit(LATCHES, "merge_controls([found, restored])", "merge_controls([found])"),),
        proof=_MERGE,
    ),
    Variant(
        name="restored-latches-pushed-at-once",
        rules="Journal and latches, Restored card",
        removed="Records out of a backup go to stores and disk before those prove anything.",
        harm="From there they read as the cluster's own word: the other node finds the birth of "
        "the cluster in the stores, and no pause.",
        edits=(Edit(WATCH, "        if self.latches.is_complete:\n", "        if True:\n"),),
        proof=_ALONE,
    ),
    Variant(
        name="restored-latches-forgotten-early",
        rules="Journal and latches, Restored card",
        removed="`control.restored` is removed before the disk has its records as its own.",
        harm="A power cut later the card is like any empty one: with stores that began empty and "
        "init's marker the cluster begins anew, and a reached loss limit is gone.",
        edits=(
            Edit(
                WATCH,
                "if self._restored_from is None or not self.latches.is_complete:",
                "if self._restored_from is None:",
            ),
        ),
        proof=_ALONE,
    ),
    Variant(
        name="restored-card-without-its-mark",
        rules="Journal and latches, Restored card",
        removed="A backup without control records leaves no `control.restored`.",
        harm="The card looks like one of a new cluster.",
        edits=(
            Edit(
                MEMBERS,
                "    _plan_control(draft, state)\n",
                "    if CONTROL_FILE in state:\n        _plan_control(draft, state)\n",
            ),
        ),
        proof=_NEVER,
    ),
    Variant(
        name="restored-card-is-a-first-start",
        rules="Journal and latches, Restored card",
        removed="A card with an empty `control.restored` may begin a cluster.",
        harm="A fresh card, stores that began empty, a peer that is away: the cluster is born a "
        "second time, without the pause that the peer's card remembers.",
        edits=(
            Edit(
                WATCH,
                "self._was_empty = not self._own and restored is None",
                "self._was_empty = not self._own",
            ),
        ),
        proof=ByTests(
            tests=(f"{WATCHED}test_a_card_that_was_told_that_its_cluster_is_not_new_begins_none",)
        ),
    ),
    Variant(
        name="begun-cluster-not-told-to-a-card",
        rules="Journal and latches, Restored card",
        removed="A plain deployment does not tell a fresh card that its cluster has begun.",
        harm="The owner wipes a box and types `make deploy-standby`: the marker of `nodectl init` "
        "lets the card begin the cluster again.",
        edits=(
            Edit(
                "deploy/deployer.py",
                "elif place.is_node and has_begun(config):",
                "elif place.is_node and config is None:",
            ),
        ),
        proof=ByTests(tests=(f"{BEGUN}test_a_card_is_told_only_after_a_leader_was_seen",)),
    ),
    Variant(
        name="begun-cluster-not-remembered",
        rules="Journal and latches, Restored card",
        removed="The laptop does not note that it saw a leader.",
        harm="The same: nobody can tell a later card that its cluster is not new.",
        edits=(
            Edit(
                "deploy/deployer.py",
                "    if state.holder is not None:\n        remember(",
                "    if state.holder is None:\n        remember(",
            ),
        ),
        proof=ByTests(tests=(f"{BEGUN}test_a_card_is_told_only_after_a_leader_was_seen",)),
    ),
    Variant(
        name="restore-without-a-file-begins",
        rules="Journal and latches, Restored card",
        removed="`make restore` without a file is a plain deployment, to the letter.",
        harm="From a laptop that never saw the cluster lead, the returning card begins it again.",
        edits=(
            Edit(
                "deploy/backup.py",
                "before_start=lambda box, _: tell_card(box))",
                "before_start=None)",
            ),
        ),
        proof=ByTests(
            tests=(
                f"{BEGUN}test_a_card_restored_without_a_file_is_told_whatever_the_laptop_remembers",
            )
        ),
    ),
    Variant(
        name="restored-over-a-life",
        rules="R7, R14, Restored card",
        removed="A backup is put over the files of a node that has run there.",
        harm="Epoch, promise and latches go back to what they were, on a card that knew better.",
        edits=(Edit(PLACE, "            _refuse_lived_in(plan, state_dir)\n", ""),),
        proof=ByTests(
            tests=(f"{CARD}test_nothing_is_put_over_a_directory_in_which_a_node_has_run",)
        ),
    ),
    Variant(
        name="restored-beside-a-promise",
        rules="R14, Restored card",
        removed="A directory with nothing but a promise counts as empty.",
        harm="A node that has stood down gets a state that knows nothing of it.",
        edits=(
            Edit(MEMBERS, "LIVED_IN: Final = (*TAKEN, PROMISE_FILE)", "LIVED_IN: Final = TAKEN"),
        ),
        proof=ByTests(
            tests=(f"{CARD}test_nothing_is_put_over_a_directory_in_which_a_node_has_run",)
        ),
    ),
    Variant(
        name="restored-without-the-claim",
        rules="R1, Restored card",
        removed="The state directory is written without its lock.",
        harm="The files of a living node change under it.",
        edits=(Edit(PLACE, "        with StateClaim(state_dir):\n", "        if True:\n"),),
        proof=ByTests(tests=(f"{CARD}test_a_running_node_is_not_restored_over",)),
    ),
    Variant(
        name="restored-under-a-running-unit",
        rules="R1, Restored card",
        removed="`make restore` does not look whether the box's node runs.",
        harm="A unit that waits between two starts holds no lock: the next start finds old files.",
        edits=(
            Edit(
                "deploy/backup.py",
                "    if box.node_state().is_active:\n",
                "    if box.node_state() is None:\n",
            ),
        ),
        proof=ByTests(tests=(f"{MADE}test_nothing_is_put_back_under_a_node_that_runs",)),
    ),
    Variant(
        name="restored-messages-sent-again",
        rules="Restored card",
        removed="The outbox of a backup is put back as it was: what waited in it waits again.",
        harm="Last week's failover is told once more, between the words of today.",
        edits=(
            Edit(
                MEMBERS,
                "            case _:\n                pass\n",
                "            case _:\n                changes.append(change)\n",
            ),
            Edit(MEMBERS, "(*told, *waiting, *untold)", "(*told, *untold)"),
        ),
        proof=_OUTBOX,
    ),
    Variant(
        name="restored-messages-unknown",
        rules="Restored card",
        removed="What waited in the outbox of a backup does not count as told.",
        harm="Whoever puts the same event again (a takeover that was journalled) tells it twice.",
        edits=(Edit(MEMBERS, "(*told, *waiting, *untold)", "(*told, *untold)"),),
        proof=_OUTBOX,
    ),
    Variant(
        name="restored-takeover-told-again",
        rules="Restored card",
        removed="A takeover that the journal of a backup calls untold does not count as told.",
        harm="The node told it a moment after the backup was taken; its restored card tells it "
        "again, with an old epoch.",
        edits=(Edit(MEMBERS, "(*told, *waiting, *untold)", "(*told, *waiting)"),),
        proof=ByTests(tests=(f"{PLAN}test_a_takeover_that_was_being_told_is_not_told_again",)),
    ),
    Variant(
        name="restored-crash-latch-lifted",
        rules="R16, Restored card",
        removed="The book of crashes is not put back.",
        harm="A node that crashed three times while trading contends again without a person.",
        edits=(Edit(MEMBERS, "    if CRASHES_FILE in state:\n", "    if CRASHES_FILE in ():\n"),),
        proof=_CRASHES,
    ),
    Variant(
        name="restored-crashes-told-again",
        rules="R16, Restored card",
        removed="Crashes out of a backup are as untold as they were.",
        harm="Old crashes are told as if they had just happened.",
        edits=(Edit(MEMBERS, "render_book(mark_told(book))", "render_book(book)"),),
        proof=_CRASHES,
    ),
)

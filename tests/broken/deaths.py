"""R16 broken: what is released after a death, what is told of it, and which deaths count.

In weather `tests/election/test_simulation_post_mortem.py` shows two open gates for the two proofs
that a hook needs (the death, and the life of the store); here the code of both is changed.
"""

from tests.broken.variant import ByTests, Variant
from tests.support.edited import Edit

MORTEM = "node/post_mortem.py"
CRASHES = "node/crashes.py"
WATCH = "node/crash_watch.py"

_HOOK = ByTests(tests=("tests/node/test_post_mortem.py",))
_BOOK = ByTests(tests=("tests/node/test_crashes.py",))
_LAST_WORDS = ByTests(tests=("tests/node/test_crash_watch.py",))

VARIANTS = (
    Variant(
        name="hook-without-the-claim",
        rules="R16",
        removed="The stop hook releases without taking the state directory's flock.",
        harm="A second, refused start has a stop hook too: it takes the lease away from the node "
        "that lives and trades.",
        edits=(
            Edit(
                "node/release_hook.py",
                "with StateClaim(directory, notes_owner=False):\n            return _release(",
                "if directory:\n            return _release(",
            ),
        ),
        proof=_HOOK,
    ),
    Variant(
        name="void-note-releases",
        rules="R16, pitfall 36",
        removed="A note of another boot, or copied from another directory, is acted upon.",
        harm="A copied SD card releases the lease of the original while it trades.",
        edits=(
            Edit(
                MORTEM,
                'void = "" if left is None else remains.why_void(left)',
                'void = ""',
            ),
        ),
        proof=_HOOK,
    ),
    Variant(
        name="journal-not-asked-after-a-death",
        rules="R16, R10",
        removed="The next holder need not wait when the fence note shows nothing under way, "
        "whatever the journal says.",
        harm="An order without an outcome is taken by the venue after the next holder has counted.",
        edits=(
            Edit(
                MORTEM,
                "doubt = _journal_doubt(journal) or _note_doubt(left, end)",
                "doubt = _note_doubt(left, end)",
            ),
        ),
        proof=_HOOK,
    ),
    Variant(
        name="fence-note-not-asked-after-a-death",
        rules="R16, R10",
        removed="The journal alone decides whether the next holder must wait.",
        harm="A cancel is not journalled: its bytes leave the kernel's buffer after the death.",
        edits=(
            Edit(
                MORTEM,
                "doubt = _journal_doubt(journal) or _note_doubt(left, end)",
                "doubt = _journal_doubt(journal)",
            ),
        ),
        proof=_HOOK,
    ),
    Variant(
        name="any-life-released-after-a-death",
        rules="R16, R4, H5",
        removed="What a dead process noted frees the lease in a later life of the store too.",
        harm="A store that fell back names the dead process again and is freed, while the next "
        "holder, granted before the fall, trades.",
        edits=(
            Edit(
                "election/lua/release.lua",
                "if inc ~= ARGV[4] then",
                "if false then",
            ),
        ),
        proof=ByTests(
            tests=("tests/election/test_post_mortem.py", "-k", "lives_again"), needs_server=True
        ),
    ),
    Variant(
        name="crash-loop-goes-on",
        rules="R16",
        removed="A node that crashed three times in ten minutes while trading contends again.",
        harm="What kills it kills it again, each time in the middle of something.",
        edits=(Edit(CRASHES, "    if len(recent) < LIMIT:\n", "    if recent:\n"),),
        proof=_BOOK,
    ),
    Variant(
        name="silent-stores-count-as-crashes",
        rules="R16",
        removed="A kill by the fence while a majority of the stores was silent counts as a crash.",
        harm="Three router restarts latch a healthy node out until a person comes.",
        edits=(
            Edit(
                CRASHES,
                "    if death.was_fenced and not death.had_majority:\n",
                '    if death.note == "never":\n',
            ),
        ),
        proof=_BOOK,
    ),
    Variant(
        name="crash-latch-lifted-by-any-word",
        rules="R16",
        removed="An old `clear-crashes` lifts a later latch too.",
        harm="What a person said once about other crashes lets the next loop begin.",
        edits=(
            Edit(
                CRASHES,
                "if book.latch is None or book.latch.latch_id != latch_id:",
                "if book.latch is None or not latch_id:",
            ),
        ),
        proof=_BOOK,
    ),
    Variant(
        name="same-failure-goes-round",
        rules="R16",
        removed="The same failure on both nodes in a row does not pause the cluster.",
        harm="One bad candle ends the two in turn, a takeover each time.",
        edits=(Edit(WATCH, "        if is_again:\n", "        if is_again and not last:\n"),),
        proof=_LAST_WORDS,
    ),
    Variant(
        name="crash-keeps-the-lease",
        rules="R16, R10",
        removed="A process that ends by an exception does not give its lease back.",
        harm="Nobody trades for a ttl although it knew that it was about to end.",
        edits=(
            Edit(
                WATCH,
                '            await _within(shift.give_back(f"{AFTER_CRASH}: {signature}"))\n',
                "            pass\n",
            ),
        ),
        proof=_LAST_WORDS,
    ),
)

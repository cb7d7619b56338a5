"""Journal, absence and effect tail broken: what a holder may believe of the orders before it."""

from tests.broken.variant import ByTests, Variant
from tests.support.edited import Edit

RECONCILE = "exchange/reconcile.py"
ORDERS = "exchange/orders.py"
STANDBY = "node/standby.py"

_ABSENCE = ByTests(tests=("tests/exchange/test_reconcile.py",))
_PATH = ByTests(tests=("tests/exchange/test_orders.py",))
_TAIL = ByTests(tests=("tests/node/test_standby.py",))

VARIANTS = (
    Variant(
        name="sent-without-the-stores",
        rules="Journal",
        removed="An order is sent although no majority of the stores took its intent.",
        harm="The box dies: the next holder does not know of the order and sends another.",
        edits=(
            Edit(
                ORDERS,
                '        if not written.is_accepted:\n            return f"the stores did not take',
                "        if written.is_accepted is None:\n"
                '            return f"the stores did not take',
            ),
        ),
        proof=_PATH,
    ),
    Variant(
        name="new-risk-without-a-disk",
        rules="Disk",
        removed="With one store a holder whose disk died opens new risk.",
        harm="The store forgets everything when it restarts: nobody knows of the order then.",
        edits=(
            Edit(
                ORDERS,
                "if not written.is_on_disk and not (self._is_disk_optional or is_softer):",
                "if not written.is_on_disk and not (self._is_disk_optional or True):",
            ),
        ),
        proof=_PATH,
    ),
    Variant(
        name="empty-store-not-filled",
        rules="Journal",
        removed="The holder does not push its journal again to a store that began another life.",
        harm="The one store restarted, the box dies an hour later: the next holder finds only "
        "what was written since.",
        edits=(
            Edit(
                "exchange/journal_writer.py",
                "        self._owed_ledger |= set(self._journal.documents())\n",
                "        pass\n",
            ),
        ),
        proof=_PATH,
    ),
    Variant(
        name="standby-keeps-no-copy",
        rules="Journal",
        removed="The standby does not tail the journal to its own disk.",
        harm="Leader and store die together (one store on the leader's box): no journal is left.",
        edits=(
            Edit(
                STANDBY,
                "lambda: self.disk.replace_all(merged.documents)",
                "lambda: None",
            ),
        ),
        proof=_TAIL,
    ),
    Variant(
        name="takeover-from-the-stores-alone",
        rules="Journal",
        removed="A takeover does not merge this disk's copy of the journal.",
        harm="The stores were emptied: the copy that was kept for that moment is not looked at.",
        edits=(
            Edit(
                STANDBY,
                '        sources.append(("own disk", self.disk.documents))\n',
                "",
            ),
        ),
        proof=_TAIL,
    ),
    Variant(
        name="absent-before-its-deadline",
        rules="Absence",
        removed="An order that no read shows is absent although it may still arrive.",
        harm="It is sent anew, and the first one fills a second later.",
        edits=(
            Edit(
                RECONCILE,
                "    if snapshot.taken_venue_ms <= may_arrive_until:\n",
                "    if snapshot.taken_venue_ms <= 0:\n",
            ),
        ),
        proof=_ABSENCE,
    ),
    Variant(
        name="absent-without-the-effect-tail",
        rules="Absence, R9",
        removed="The venue's effect tail is not waited for.",
        harm="A venue that takes an order ten seconds after its deadline fills it when it counts "
        "as absent.",
        edits=(
            Edit(
                RECONCILE,
                "    may_arrive_until = record.deadline_venue_ms + notes.inputs.effect_tail_ms\n"
                "    if snapshot",
                "    may_arrive_until = record.deadline_venue_ms\n    if snapshot",
            ),
        ),
        proof=_ABSENCE,
    ),
    Variant(
        name="absent-after-one-read",
        rules="Absence",
        removed="One read that shows nothing is enough.",
        harm="A venue's answer that lags by a moment doubles the order.",
        edits=(
            Edit(
                RECONCILE,
                "if snapshot.taken_venue_ms - first_ms >= ABSENCE_GAP_MS:",
                "if snapshot.taken_venue_ms >= first_ms:",
            ),
        ),
        proof=_ABSENCE,
    ),
    Variant(
        name="new-risk-within-the-effect-tail",
        rules="R9",
        removed="After an unclean takeover new risk does not wait for the venue's effect tail.",
        harm="The lost holder's order still takes effect, and the new one has bought the same.",
        edits=(
            Edit(
                "node/active.py",
                "self.monotonic_s() < self.quiet_until_s",
                "self.monotonic_s() < 0.0",
            ),
        ),
        proof=ByTests(tests=("tests/node/test_active.py", "-k", "no_new_risk")),
    ),
    Variant(
        name="redirects-followed",
        rules="R9",
        removed="A redirect of the venue is followed.",
        harm="A 307 sends the signed order a second time, to another place.",
        edits=(
            Edit(
                "exchange/ccxt_session.py",
                '"allow_redirects": False',
                '"allow_redirects": True',
            ),
        ),
        proof=ByTests(tests=("tests/exchange/test_gateway_outcomes.py",)),
    ),
)

"""R1, R7, R13, R15, health and latches broken: who may contend, and what moves the lease."""

from tests.broken.variant import ByTests, Variant
from tests.support.edited import Edit

ELIGIBILITY = "node/eligibility.py"
SUCCESSION = "node/succession.py"
PEER = "election/peer.py"
WATCH = "node/watch.py"

_FIT = ByTests(tests=("tests/node/test_eligibility.py",))
_SERVERS = ByTests(tests=("tests/election/test_peer.py",))
_MOVES = ByTests(tests=("tests/node/test_succession.py",))
_DUPLICATES = ByTests(tests=("tests/node/test_duplicate.py",))
_PREFERRED = ByTests(tests=("tests/node/test_watch.py",))

VARIANTS = (
    Variant(
        name="state-directory-unclaimed",
        rules="R1",
        removed="The state directory is not held by an flock.",
        harm="Two processes of one node share journal and epoch file, and a stop hook takes a "
        "living process for dead.",
        edits=(
            Edit(
                "election/state_lock.py",
                "fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)",
                "os.fstat(self._descriptor)",
            ),
        ),
        proof=ByTests(tests=("tests/election/test_state_files.py", "-k", "claim")),
    ),
    Variant(
        name="both-copies-end",
        rules="R1",
        removed="Of two processes with one node id both end.",
        harm="Two copies that start at the same instant leave nobody.",
        edits=(
            Edit(
                "node/duplicate.py",
                "if is_theirs or seen.nonce < self.nonce else",
                'if is_theirs or seen.nonce != "" else',
            ),
        ),
        proof=_DUPLICATES,
    ),
    Variant(
        name="copy-ends-the-holder",
        rules="R1",
        removed="A holder that sees a copy of itself ends when its nonce is the higher one.",
        harm="Whoever plugs in a copied SD card ends the trading of the original.",
        edits=(
            Edit(
                "node/duplicate.py",
                "if self._sightings[seen.nonce] < SIGHTINGS or has_lease(role):",
                "if self._sightings[seen.nonce] < SIGHTINGS:",
            ),
        ),
        proof=_DUPLICATES,
    ),
    Variant(
        name="loopback-accepted",
        rules="R2, R13, pitfall 30",
        removed="A loopback address is taken for a peer or a store.",
        harm='Both configurations say "localhost": each box has a lease of its own, two traders.',
        edits=(
            Edit(
                "node/peer_rules.py",
                "return address.is_loopback or address.is_unspecified",
                "return address.is_multicast",
            ),
        ),
        proof=ByTests(tests=("tests/node/test_peer_rules.py", "tests/node/test_config.py")),
    ),
    Variant(
        name="seen-epochs-not-written",
        rules="R7, H9",
        removed="Epochs that were seen, not asked for, are not written to disk.",
        harm="The stores begin empty and the spare restarts: it asks for an epoch that the other "
        "node has used.",
        edits=(
            Edit(
                "election/epoch_memory.py",
                "        return StoreEpoch(epoch=seen)\n",
                "        return None\n",
            ),
        ),
        proof=ByTests(
            tests=("tests/election/test_heartbeat.py", "-k", "epochs_it_has_seen"),
            needs_server=True,
        ),
    ),
    Variant(
        name="journal-epoch-ignored",
        rules="R7, H9",
        removed="The epoch in the journal is no floor.",
        harm="One store, wiped: the spare trades under an epoch that the orders in its own copy of "
        "the journal bear.",
        edits=(Edit("node/standby.py", "if written > self._floor:", "if written < self._floor:"),),
        proof=ByTests(tests=("tests/node/test_standby.py",)),
    ),
    Variant(
        name="other-store-list-contends",
        rules="R7, R3",
        removed="A node contends although a fresh heartbeat shows another list of stores.",
        harm="Two disjoint majorities are then one cut link away.",
        edits=(
            Edit(
                ELIGIBILITY,
                "        if facts.list_ids.isdisjoint(list_ids)\n",
                "        if not list_ids\n",
            ),
        ),
        proof=_FIT,
    ),
    Variant(
        name="other-account-contends",
        rules="R7",
        removed="A node whose key belongs to another account contends.",
        harm="It finds no order and no position of the cluster there, and buys once more.",
        edits=(
            Edit(
                ELIGIBILITY,
                "elif facts.expected_account is not None and facts.account != "
                "facts.expected_account:",
                'elif facts.account == "":',
            ),
        ),
        proof=_FIT,
    ),
    Variant(
        name="venue-clock-unknown-contends",
        rules="R7, R9",
        removed="A node that does not know the venue's time contends.",
        harm="It takes the lease and cannot send: an order without a stamp is refused.",
        edits=(
            Edit(ELIGIBILITY, "if facts.clock_error_ms is None:", "if facts.clock_error_ms == -1:"),
            Edit(
                ELIGIBILITY,
                "elif facts.clock_error_ms > facts.clock_error_ms_max:",
                "elif (facts.clock_error_ms or 0) > facts.clock_error_ms_max:",
            ),
        ),
        proof=_FIT,
    ),
    Variant(
        name="paused-contends",
        rules="R7",
        removed="A node contends while the cluster is paused.",
        harm="A pause of a person is followed by a takeover, which cancels orders.",
        edits=(Edit(ELIGIBILITY, "if facts.is_paused:", "if facts.is_paused is None:"),),
        proof=_FIT,
    ),
    Variant(
        name="found-nowhere-is-free",
        rules="Journal and latches",
        removed="When no control record is found anywhere the cluster counts as free.",
        harm="All stores forgot and the disk is new: a pause or a loss limit is gone without a "
        "person's word.",
        edits=(
            Edit(
                "node/latches.py",
                "        if not self.is_complete:\n            return True\n",
                "        if not self.is_complete:\n            return False\n",
            ),
        ),
        proof=ByTests(tests=("tests/node/test_latches.py",)),
    ),
    Variant(
        name="older-latch-wins",
        rules="Journal and latches",
        removed="The first record that is found counts, not the highest version.",
        harm="A store that was away when a person paused comes back and lifts the pause.",
        edits=(
            Edit(
                "election/control_record.py",
                "if held is None or record.version > held[0].version:",
                "if held is None:",
            ),
        ),
        proof=ByTests(tests=("tests/node/test_latches.py", "tests/election/test_control.py")),
    ),
    Variant(
        name="other-strategy-goes-on",
        rules="R7",
        removed="A node with another strategy goes on with the last holder's state.",
        harm="A failover quietly becomes a change of strategy, with somebody else's memory.",
        edits=(
            Edit(
                "node/bench.py",
                'self.is_unaccepted = body.get("fingerprint") != self.fingerprint',
                "self.is_unaccepted = not self.fingerprint",
            ),
        ),
        proof=ByTests(tests=("tests/node/test_bench.py", "tests/node/test_active.py")),
    ),
    Variant(
        name="two-servers-unnoticed",
        rules="R13, pitfall 30",
        removed="Two lives of one store that were both seen at the same time prove nothing.",
        harm="The nodes are pointed at different servers: two leases, two traders.",
        edits=(Edit(PEER, "if overlap_s > LASTING_S:", "if overlap_s > 1e9:"),),
        proof=_SERVERS,
    ),
    Variant(
        name="one-late-look-is-a-proof",
        rules="R13",
        removed="Two lives of one store need not have been seen during the same time.",
        harm="Every restart of a store, seen by one node a moment later than by the other, stops "
        "both and calls a person.",
        edits=(Edit(PEER, "if overlap_s > LASTING_S:", "if overlap_s < 1e9:"),),
        proof=_SERVERS,
    ),
    Variant(
        name="holder-stays-on-its-own-server",
        rules="R13",
        removed="A holder that knows of different servers goes on.",
        harm="The node on the other server may hold a lease of its own.",
        edits=(
            Edit(
                "node/successor.py",
                "        if different:\n",
                "        if different and not self.parts.node_id:\n",
            ),
        ),
        proof=ByTests(tests=("tests/node/test_successor.py",)),
    ),
    Variant(
        name="preferred-told-each-time",
        rules="R15",
        removed="Each time that the preferred node becomes well it is told.",
        harm="A box that flaps ten times in an hour rings ten times, and somebody moves the lease "
        "ten times.",
        edits=(
            Edit(
                WATCH,
                "if self.has_told or now_s - self.well_since_s < self.stable_for_s:",
                "if now_s - self.well_since_s < self.stable_for_s:",
            ),
        ),
        proof=_PREFERRED,
    ),
    Variant(
        name="preferred-well-with-breaks",
        rules="R15",
        removed="The time for which the preferred node must be well adds up over breaks.",
        harm="A box that is well for a minute in ten is recommended to a person.",
        edits=(
            Edit(
                WATCH,
                "        if not (is_mine_to_say and is_preferred_fit):\n"
                "            self.well_since_s = NEVER_S\n",
                "        if not (is_mine_to_say and is_preferred_fit):\n",
            ),
        ),
        proof=_PREFERRED,
    ),
    Variant(
        name="hiccup-moves-the-lease",
        rules="Health",
        removed="A trouble counts at once.",
        harm="Every lost packet to the venue is a switchover.",
        edits=(
            Edit(
                SUCCESSION,
                "if kind not in troubles or now_s - self._since_s[kind] < PATIENCE_S[kind]:",
                "if kind not in troubles:",
            ),
        ),
        proof=_MOVES,
    ),
    Variant(
        name="venue-trouble-of-both-moves",
        rules="Health",
        removed="The lease moves to a spare that has not reached the venue since either.",
        harm="The uplink is down: the lease goes to and fro between two boxes that reach nothing.",
        edits=(
            Edit(
                SUCCESSION,
                "if kind in OF_THE_VENUE and not self._has_proof(now_s, kind, spares):",
                "if kind in OF_THE_VENUE and not spares:",
            ),
        ),
        proof=_MOVES,
    ),
    Variant(
        name="moves-without-a-hold",
        rules="Health",
        removed="Hand-overs for health need not wait for each other.",
        harm="Two boxes at the limit of their heat hand the lease to and fro.",
        edits=(Edit(SUCCESSION, "        if wait_s > 0:\n", "        if wait_s > 1e9:\n"),),
        proof=_MOVES,
    ),
)

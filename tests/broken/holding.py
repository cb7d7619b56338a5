"""R8, R11 and R13 broken: what a holder counts, repairs and obeys."""

from tests.broken.variant import ByTests, InWeather, Kept, Variant
from tests.support.edited import Edit

MACHINE = "election/machine.py"
HOLDING = "election/holding.py"
STANDING = "election/standing.py"
TENURE = "election/tenure.py"
MEMORY = "election/memory_store.py"

_FROM_REPLY = Edit(
    MACHINE,
    "            if tenure.note_ack(call.store, reply.inc, call.round_id, observed.quorum):\n",
    "            for round_ in tenure.rounds:\n"
    "                if round_.round_id == call.round_id:\n"
    "                    round_.sent = now\n"
    "            if tenure.note_ack(call.store, reply.inc, call.round_id, observed.quorum):\n",
)

VARIANTS = (
    Variant(
        name="validity-from-reply",
        rules="R8, H6, pitfall 8",
        removed="Validity runs from the answer to a renewal, not from its sending.",
        harm="The renewal was written at once, its answer took four seconds: the standby's timer "
        "has run for four seconds when the holder believes in a whole new ttl.",
        edits=(_FROM_REPLY,),
        proof=InWeather(setup="tight", stores=1, seed=45, within=500, shows="two open gates"),
    ),
    Variant(
        name="validity-from-reply-in-three",
        rules="R8, H6, pitfall 8",
        removed="The same with three stores.",
        harm="The same, store by store.",
        edits=(_FROM_REPLY,),
        proof=InWeather(setup="tight", stores=3, seed=91, within=500, shows="two open gates"),
    ),
    Variant(
        name="rounds-added-up",
        rules="R13",
        removed="Acknowledgements of different rounds are added up to a majority.",
        harm="One store acknowledged now, another some seconds ago; the standby has seen that "
        "second one unchanged since, and takes it with the third.",
        edits=(
            Edit(
                TENURE,
                "            round_.acked.add(store)\n",
                "            round_.acked |= self.held_at\n",
            ),
        ),
        proof=InWeather(setup="tight", stores=3, seed=5, within=100, shows="two open gates"),
    ),
    Variant(
        name="hung-loop-renews",
        rules="R8, pitfall 24",
        removed="Renewals go on although the work loop hangs.",
        harm="The heartbeat thread keeps a lease that nobody uses: positions are not looked after, "
        "and the spare may not take over.",
        edits=(
            Edit(
                STANDING,
                "elif not hang and (is_forced or holding.is_renewal_due",
                "elif (is_forced or holding.is_renewal_due",
            ),
        ),
        proof=InWeather(setup="hangs", stores=1, seed=0, within=100, shows="still leads"),
    ),
    Variant(
        name="renewal-compares-write-id",
        rules="R8, H18, pitfall 11",
        removed="A renewal is a compare-and-set on the write id of the last one.",
        harm="The answer to one renewal is lost: the next is refused because of the holder's own "
        "writing, and must be sent twice, just when messages get lost.",
        edits=(
            Edit(
                HOLDING,
                "            round_id=round_.round_id,\n"
                "            expected_inc=observation.inc,\n"
                "        )\n"
                "    elif",
                "            round_id=round_.round_id,\n"
                "            expected_inc=observation.inc,\n"
                "            expected_wid=observation.record.wid,\n"
                "        )\n"
                "    elif",
            ),
            Edit(
                "election/store_worker.py",
                "            return store.renew(\n",
                "            store.renew_wid = call.expected_wid\n"
                "            return store.renew(\n",
            ),
            Edit(
                MEMORY,
                "            refused = self._read(identity, new_wid) or "
                "self._compare(expected_inc, None)\n"
                "            if refused is not None:\n"
                "                return refused\n"
                "            if not self._is_mine(identity, epoch):\n"
                "                return self._reply(Refusal.NOT_MINE)\n"
                "            return self._hold(",
                "            refused = self._read(identity, new_wid) or "
                "self._compare(expected_inc, self.renew_wid)\n"
                "            if refused is not None:\n"
                "                return refused\n"
                "            if not self._is_mine(identity, epoch):\n"
                "                return self._reply(Refusal.NOT_MINE)\n"
                "            return self._hold(",
            ),
        ),
        proof=InWeather(setup="lossy", stores=1, seed=0, within=100, shows="refused_own"),
    ),
    Variant(
        name="no-reassertion",
        rules="R8, R11",
        removed="A holder whose record was lost does not put it back.",
        harm="Every restart of a store ends the lease of a holder that was well, and costs a "
        "whole ttl.",
        edits=(
            Edit(
                HOLDING,
                "    if record is None or observation.unusable is not None:\n",
                "    if record is None or tenure.epoch > 0:\n",
            ),
        ),
        proof=InWeather(setup="store faults", stores=1, seed=0, within=100, shows="nobody leads"),
    ),
    Variant(
        name="reassertion-anywhere",
        rules="R13",
        removed="A holder writes into a store in which its grant never stood, whatever it shows.",
        harm="None that was found: while a grant is valid nobody else can be granted a majority.",
        edits=(
            Edit(
                HOLDING,
                "    if observation.name in tenure.held_at:\n        return True\n",
                "    if observation.name in world.observed._by_name:\n        return True\n",
            ),
        ),
        proof=Kept(
            why="A later epoch that is held is never written over in any case. What is left is a "
            "tombstone, an older holder, or the vote of an attempt that cannot succeed while "
            "this grant is valid, and whether it is valid only this node's own clock says. A "
            "rule for who may write where, the same for holder and contender (R6), does not "
            "rest on that; it costs one ttl until a minority store is repaired."
        ),
    ),
    Variant(
        name="renews-rolled-back-record",
        rules="R8, R11",
        removed="A record that came back after a restart is renewed like any other.",
        harm="None for who leads: the script compares process, epoch and incarnation in any case, "
        "and what came back is this very grant. But the record does not say that it was put back, "
        "by which a person sees that a store restarted under a holder.",
        edits=(
            Edit(
                HOLDING,
                "    return record is not None and record.inc == observation.inc",
                "    return record is not None",
            ),
        ),
        proof=ByTests(tests=("tests/election/test_machine_details.py", "-k", "restarted_store")),
    ),
    Variant(
        name="deposed-goes-on",
        rules="R8",
        removed="A holder does not stop when a majority names a rival.",
        harm="A store that a virtual machine revived from a memory snapshot (no rule notices "
        "that) granted the lease to another: the two lead side by side until the permit "
        "ends, instead of for one round trip.",
        edits=(
            Edit(
                STANDING,
                "        if rival is None:\n            return\n",
                "        if rival is None or rival is not None:\n            return\n",
            ),
        ),
        proof=InWeather(setup="unfit machine", stores=1, seed=21, within=500, shows="overlap_s"),
    ),
    Variant(
        name="lapsed-goes-on",
        rules="R8",
        removed="A holder whose time is over does not stop asking.",
        harm="The permit ends by itself, so nobody sends; but the node never says that it "
        "lapsed, does not contend again, and the spare is alone.",
        edits=(
            Edit(
                HOLDING,
                "    return holder_elapsed_s(tenure.counted, now) >= world.timing.gate_s\n",
                "    return False\n",
            ),
        ),
        proof=ByTests(tests=("tests/election/test_machine_holding.py",)),
    ),
    Variant(
        name="later-venue-epoch-ignored",
        rules="R7, R8",
        removed="A holder goes on although the venue shows orders of a later epoch.",
        harm="It was deposed, whatever the stores say; two nodes trade until its permit ends.",
        edits=(
            Edit(
                MACHINE,
                "if tenure is not None and epoch > tenure.epoch:",
                "if tenure is not None and epoch < 0:",
            ),
        ),
        proof=ByTests(tests=("tests/election/test_machine_repair.py",)),
    ),
    Variant(
        name="foreign-store-written",
        rules="R3, R11",
        removed="A store whose record belongs to another cluster is asked to re-assert.",
        harm="The script refuses a second time; without either the record of somebody else's "
        "cluster is written over.",
        edits=(
            Edit(
                "election/observation.py",
                "            self.record, self.inc, self.since = None, None, None\n",
                "",
            ),
            Edit(
                HOLDING,
                "    if record is None or observation.unusable is not None:\n",
                "    if record is None:\n",
            ),
        ),
        proof=ByTests(tests=("tests/election/test_machine_repair.py",)),
    ),
)

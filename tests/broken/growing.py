"""Growing from one store to three while the pair trades: joint lists (R3, election/quorum.py)."""

from tests.broken.variant import ByTests, InWeather, Variant
from tests.support.edited import Edit

QUORUM = "election/quorum.py"
WALK = "tests/support/lease_growth.py"  # what stands in for `make deploy-witness`

VARIANTS = (
    Variant(
        name="joint-without-the-old-store",
        rules="R3, R13",
        removed="A node of the joint list decides with any two of the three stores.",
        harm="It takes the lease in the two new stores while a node of the old list holds it in "
        "the old one: no store sees both.",
        edits=(
            Edit(
                QUORUM,
                "return len(names) >= self.size and (self.needed is None or self.needed in names)",
                "return len(names) >= self.size",
            ),
            Edit(QUORUM, "        if self.needed is None:\n", "        if len(waits_s):\n"),
        ),
        proof=InWeather(setup="growing apart", stores=3, seed=1, within=200, shows="two open"),
    ),
    Variant(
        name="joint-with-the-old-store-alone",
        rules="R3, R13",
        removed="A node of the joint list decides with the old store alone.",
        harm="The other node, of the new list, takes the lease in the two new stores, which know "
        "nothing of it.",
        edits=(
            Edit(
                QUORUM,
                "return len(names) >= self.size and (self.needed is None or self.needed in names)",
                "return self.needed in names if self.needed else len(names) >= self.size",
            ),
            Edit(
                QUORUM,
                "beside = self.size - (self.needed is not None)",
                "beside = 0 if self.needed else self.size",
            ),
        ),
        proof=InWeather(setup="growing apart", stores=3, seed=77, within=500, shows="two open"),
    ),
    Variant(
        name="joint-under-the-new-id",
        rules="R3",
        removed="A node of the joint list asks the old store under the new list's id.",
        harm="The record there is of the old list, and refuses it: the first switchover finds "
        "nobody who could take the lease, and the pair never grows.",
        edits=(
            Edit(
                "tests/support/lease_process.py",
                "return replace(self.identity, config_id=self.file.needed)",
                "return self.identity",
            ),
        ),
        proof=InWeather(
            setup="growing in peace", stores=3, seed=0, within=10, shows="has not grown"
        ),
    ),
    Variant(
        name="new-beside-old",
        rules="R3, R13",
        removed="A box may have the new list while the other one has the old list.",
        harm="Each holds the lease by its own list: the one in the old store, the other in the two "
        "new ones.",
        edits=(
            Edit(WALK, "    OLD: (JOINT,),\n", "    OLD: (JOINT, NEW),\n"),
            Edit(
                WALK,
                "return file == JOINT or (file == NEW) == self.is_counting",
                "return True",
            ),
        ),
        proof=InWeather(setup="growing", stores=3, seed=1, within=200, shows="in flight"),
    ),
    Variant(
        name="new-list-counts-before-a-joint-lease",
        rules="R3, H9",
        removed="The new list counts as soon as both boxes have the joint one, whoever leads.",
        harm="The last lease was the old store's alone; its holder was killed with an order under "
        "way. The two new stores know nothing of it: the next holder waits for nothing, and may "
        "use an epoch that was used.",
        edits=(Edit(WALK, "        return self._leader() is not None\n", "        return True\n"),),
        proof=InWeather(
            setup="growing fast", stores=3, seed=45, within=500, shows="the venue takes"
        ),
    ),
    Variant(
        name="moved-from-under-a-joint-list",
        rules="R3, R6",
        removed="The old store's record is moved while a node still has the joint list, held or "
        "not.",
        harm="A leader of the joint list loses the store that each of its renewals needs, and "
        "stops: nobody leads for a whole ttl.",
        edits=(
            Edit(
                WALK,
                "        return all(self._lists(box) == {NEW} for box in self._sim.boxes)\n"
                "\n"
                "    def _leader",
                "        return self.is_counting\n\n    def _leader",
            ),
            Edit(WALK, "if reply.record.state is not LeaseState.HELD:", "if reply.record:"),
            Edit(WALK, "self._write(reply, is_silent=False)", "self._write(reply, is_silent=True)"),
        ),
        proof=InWeather(
            setup="growing in peace", stores=3, seed=0, within=10, shows="nobody leads"
        ),
    ),
    Variant(
        name="moved-while-held",
        rules="R3, R6",
        removed="A record that is held is moved to another list, silent or not.",
        harm="Whoever moves a moment too early takes the lease away from a living leader.",
        edits=(
            Edit(
                "election/memory_store.py",
                "if self._now.state is LeaseState.HELD and not is_silent:",
                "if self._now.state is LeaseState.HELD and self._is_down:",
            ),
        ),
        proof=ByTests(tests=("tests/election/test_store_contract.py", "-k", "move_leaves")),
    ),
    Variant(
        name="old-store-under-the-new-id",
        rules="R3",
        removed="The client of the old store asks under the new list's id.",
        harm="A node of the joint list is refused by the store that it needs for everything.",
        edits=(
            Edit(
                "election/redis_store.py",
                "config_id = self._connection.address.old_list or identity.config_id",
                "config_id = identity.config_id",
            ),
        ),
        proof=ByTests(
            tests=("tests/election/test_joint_stores.py", "-k", "same_record"), needs_server=True
        ),
    ),
    Variant(
        name="journal-without-the-old-store",
        rules="R3, Journal and latches",
        removed="Two new stores are enough for a write to the journal.",
        harm="An order is sent, its leader dies, and a node of the old list takes over: it reads "
        "the old store, and the order is not there.",
        edits=(
            Edit(
                "election/majority.py",
                "is_accepted = quorum.is_met(accepted_by)",
                "is_accepted = len(accepted_by) >= quorum.size",
            ),
        ),
        proof=ByTests(
            tests=("tests/election/test_joint_stores.py", "-k", "ledger_write_counts"),
            needs_server=True,
        ),
    ),
    Variant(
        name="decision-without-the-old-store",
        rules="R3, Journal and latches",
        removed="A decision counts once two new stores have it.",
        harm="A person pauses the cluster and is told that it is paused; a node of the old list "
        "does not see it, and trades.",
        edits=(
            Edit(
                "election/majority.py",
                "is_majority=self._fleet.quorum.is_met(stored),",
                "is_majority=len(stored) >= self._fleet.quorum.size,",
            ),
        ),
        proof=ByTests(
            tests=("tests/election/test_joint_stores.py", "-k", "decision_and_reading"),
            needs_server=True,
        ),
    ),
    Variant(
        name="old-lists-leader-unseen",
        rules="R3, R8",
        removed="A node of the joint list takes nobody for the leader whom the old store alone "
        "names.",
        harm="The node that leads by the old list is shown as nobody, and a leader of the joint "
        "list that it has replaced trades on until its time is over.",
        edits=(
            Edit(
                QUORUM,
                "return len(names) >= self.size or (self.needed is not None and self.needed in "
                "names)",
                "return len(names) >= self.size",
            ),
        ),
        proof=ByTests(tests=("tests/election/test_machine_joint.py", "-k", "deposes or alone")),
    ),
    Variant(
        name="dead-leader-of-two-stores-shown",
        rules="R3",
        removed="Of two leaders that are named the one of the most stores is shown, not the later.",
        harm="A leader of the joint list lost its power, the other node took over by the old list: "
        "the two new stores name the dead one for ever, and so does every status.",
        edits=(
            Edit(
                "election/observed.py",
                "is_later = (vote[2], len(names)) > (found.epoch, most)",
                "is_later = (len(names), vote[2]) > (most, found.epoch)",
            ),
        ),
        proof=ByTests(tests=("tests/election/test_machine_joint.py", "-k", "later_epoch")),
    ),
    Variant(
        name="new-stores-join-unwatched",
        rules="R3, R5, R6",
        removed="New stores count as ready as soon as they answer.",
        harm="The pair is walked on, the lease is handed over, and nobody can take it for a ttl.",
        edits=(
            Edit(
                "election/observed.py",
                "if record.state is LeaseState.RELEASED or (is_held and is_present):",
                "if not is_held or is_present:",
            ),
        ),
        proof=ByTests(tests=("tests/election/test_machine_joint.py", "-k", "watched_for_a_ttl")),
    ),
    Variant(
        name="death-noted-without-its-list",
        rules="R3, R16",
        removed="The note for the stop hook does not say under which list a store is kept.",
        harm="The old store refuses the release of a crashed leader: the pair waits out a ttl.",
        edits=(
            Edit(
                "election/grant_note.py",
                'old_list=str(s.get("old_list", "")),',
                'old_list="",',
            ),
        ),
        proof=ByTests(tests=("tests/election/test_grant_note.py", "-k", "kept_under")),
    ),
    Variant(
        name="death-freed-without-the-old-store",
        rules="R3, R16",
        removed="A lease counts as freed once any two stores have released it.",
        harm="The hook says that the other node may take over, and forgets what the old store "
        "still has to be told.",
        edits=(
            Edit(
                "node/post_mortem.py",
                "return quorum.is_met([e.store for e in self.epitaphs if e.is_released or "
                "e.is_gone])",
                "return len([e for e in self.epitaphs if e.is_released or e.is_gone]) >= "
                "quorum.size",
            ),
        ),
        proof=ByTests(tests=("tests/node/test_post_mortem.py", "-k", "stores_that_decide")),
    ),
)

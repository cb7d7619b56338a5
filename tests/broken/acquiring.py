"""R7 and R13 broken: how the lease is asked for, and how an attempt ends."""

from tests.broken.variant import SIM, ByTests, InWeather, Variant
from tests.support.edited import Edit

MACHINE = "election/machine.py"
STANDING = "election/standing.py"
CONTEST = "election/contest.py"

VARIANTS = (
    Variant(
        name="write-before-a-majority",
        rules="R13, H16",
        removed="A contender writes as soon as one store of three is takeable.",
        harm="It robs a healthy holder of one vote after the other; each must be repaired, and one "
        "more fault then stops trading.",
        edits=(
            Edit(
                MACHINE,
                "if self._world.observed.quorum.is_met("
                "contest.free_and_takeable(self._world, now)):",
                "if contest.free_and_takeable(self._world, now):",
            ),
            Edit(
                MACHINE,
                "is_possible = self._world.observed.quorum.is_met(stores) and is_highest",
                "is_possible = len(stores) >= 1 and is_highest",
            ),
        ),
        proof=InWeather(setup="robbers", stores=3, seed=2, within=100, shows="stolen"),
    ),
    Variant(
        name="one-vote-is-enough",
        rules="R13",
        removed="One acknowledgement of three grants the lease.",
        harm="Each box finds one store that it can reach: two holders.",
        edits=(Edit("election/quorum.py", "len(self.stores) // 2 + 1)", "1)"),),
        proof=InWeather(setup="hostile", stores=3, seed=0, within=100, shows="in flight"),
    ),
    Variant(
        name="abandoned-attempt-taken-up",
        rules="R7, R10, pitfall 12",
        removed="A node that finds its own name in the stores after it gave up, or released, goes "
        "on under that epoch.",
        harm="Its release is already under way. It arrives late, frees the lease that is being "
        "used, and the other box takes it at once.",
        edits=(
            Edit(
                MACHINE,
                "        if self._standing.is_waiting(now) or self._obstacles(now):\n"
                "            return\n",
                "        own = [\n"
                "            o.record\n"
                "            for o in self._world.observed\n"
                "            if o.record is not None\n"
                "            and o.record.nonce == self._world.identity.nonce\n"
                "            and o.record.state.value == 'held'\n"
                "            and o.record.inc == o.inc\n"
                "        ]\n"
                "        is_idle = self._standing.phase is Phase.CONTENDING\n"
                "        if is_idle and self._world.observed.quorum.is_met(own) and (\n"
                "            self._standing._is_settled\n"
                "        ):\n"
                "            seen = self._world.observed\n"
                "            names = tuple(o.name for o in seen if o.record in own)\n"
                "            taken = contest._describe(self._world, names, now)\n"
                "            self._standing._phase = Phase.ACQUIRING\n"
                "            tenure = Tenure(epoch=own[0].epoch, taken=taken)\n"
                "            tenure.begin_round(now)\n"
                "            self._standing._tenure = tenure\n"
                "            contest.renew_first(self._world, tenure, now)\n"
                "            return\n"
                "        if self._standing.is_waiting(now) or self._obstacles(now):\n"
                "            return\n",
            ),
        ),
        proof=InWeather(setup="abandoned", stores=1, seed=91, within=500, shows="in flight"),
    ),
    Variant(
        name="read-back-counts-as-renewal",
        rules="R7",
        removed="A grant whose answer was lost is read back, and led from the reading on.",
        harm="The record was written seconds before it was read back, and the standby's timer runs "
        "since then: the permit lasts longer than the standby waits.",
        edits=(
            Edit(
                MACHINE,
                "            contest.renew_first(self._world, tenure, now)\n",
                "            tenure.begin_round(answered.sent)\n"
                "            for o in self._world.observed:\n"
                "                if o.inc is not None and o.shows(\n"
                "                    self._world.identity, tenure.epoch\n"
                "                ) and tenure.note_ack(\n"
                "                    o.name, o.inc, tenure.newest.round_id, observed.quorum\n"
                "                ):\n"
                "                    self._standing.count(now, chance)\n",
            ),
        ),
        proof=InWeather(
            setup="lost answers", stores=1, seed=247, within=1000, shows="the venue takes"
        ),
    ),
    Variant(
        name="no-read-back",
        rules="R7",
        removed="A lost answer to an attempt is not looked for.",
        harm="One lost packet, and a lease that was granted is given up: seconds of no trading.",
        edits=(
            Edit(
                STANDING,
                "            contest.read_back(self._world, tenure)\n",
                "            pass\n",
            ),
        ),
        proof=ByTests(tests=("tests/election/test_machine_attempts.py",)),
    ),
    Variant(
        name="given-up-without-release",
        rules="R7, R13, H15",
        removed="An attempt that failed is not released in the stores that had granted it.",
        harm="Three stores, one down, both boxes start: A gets one vote, B the other, and nobody "
        "may take either for a whole ttl.",
        edits=(
            Edit(
                STANDING,
                "        contest.give_up(self._world, tenure, reason, now)\n",
                "",
            ),
        ),
        proof=InWeather(setup="two of three", stores=3, seed=18, within=100, shows="nobody leads"),
    ),
    Variant(
        name="back-off-without-chance",
        rules="R13, H15, pitfall 29",
        removed="After a failed attempt every contender waits the same time.",
        harm="One store of three is down, each box is nearest to another one: two boxes that tick "
        "in step split the votes for ever, and nobody leads.",
        edits=(
            Edit(
                STANDING,
                "part = BACKOFF_MIN + (BACKOFF_MAX - BACKOFF_MIN) * chance",
                "part = BACKOFF_MIN",
            ),
        ),
        proof=ByTests(tests=("tests/election/test_machine_attempts.py", "-k", "in_step")),
    ),
    Variant(
        name="attempt-counted-however-late",
        rules="R7, R8",
        removed="An attempt whose majority answered after its time opens the gate all the same.",
        harm="The permit would be over before it opens; the permit itself refuses that a second "
        "time (`LeasePermit.open`).",
        edits=(
            Edit(
                CONTEST,
                "return holder_elapsed_s(tenure.newest.sent, now) >= world.timing.gate_s",
                "return False",
            ),
        ),
        proof=ByTests(tests=("tests/election/test_machine_attempts.py",)),
    ),
    Variant(
        name="epoch-not-on-disk",
        rules="R7, H9",
        removed="The epoch is asked for without being written to disk.",
        harm="All stores forget and the process restarts: it asks for an epoch that it has used "
        "before, and two orders of two lives bear the same mark.",
        edits=(
            Edit(
                SIM,
                "self.box.disk_epoch = max(self.box.disk_epoch, epoch)",
                "self.box.disk_epoch = 0",
            ),
        ),
        proof=InWeather(setup="wipes", stores=1, seed=102, within=500, shows="a second time"),
    ),
    Variant(
        name="cas-before-disk",
        rules="R7, H9",
        removed="The stores are asked while the disk is still writing.",
        harm="A power cut between the two: the stores granted an epoch that the disk does not "
        "know; they forget, and it is granted again.",
        edits=(
            Edit(
                MACHINE,
                "            self._standing.persist(self._highest + 1, now)\n",
                "            self._standing.persist(self._highest + 1, now)\n"
                "            self._begin_attempt(self._highest + 1, now)\n",
            ),
        ),
        proof=ByTests(tests=("tests/election/test_machine_contending.py",)),
    ),
    Variant(
        name="no-venue-floor",
        rules="R7, H9",
        removed="The highest epoch in the venue's order ids is not looked at.",
        harm="All stores forget while one box is off; the other, whose disk never saw the later "
        "epochs, trades under an older one than the orders that are already there.",
        edits=(
            Edit(
                SIM,
                "if epoch >= event.epoch and by != self.nonce:",
                "if epoch < 0 and by != self.nonce:",
            ),
        ),
        proof=InWeather(setup="wipes", stores=1, seed=110, within=500, shows="sends under epoch"),
    ),
    Variant(
        name="seen-epochs-forgotten",
        rules="R7",
        removed="A contender asks for its own next epoch without looking at the records.",
        harm="Its epoch is below what the store has known; every attempt is refused, and the spare "
        "never takes over.",
        edits=(
            Edit(
                MACHINE,
                "self._highest = max(self._highest, self._world.observed.max_epoch)",
                "self._highest = max(self._highest, 0)",
            ),
        ),
        proof=ByTests(tests=("tests/election/test_machine_contending.py",)),
    ),
    Variant(
        name="contends-before-settled",
        rules="R7, Kernel fence",
        removed="A node contends again although a write of its former grant is still under way.",
        harm="The old write would run under the new permit, and the fence that guards it would be "
        "moved for the new grant.",
        edits=(
            Edit(
                STANDING,
                "if self._phase is not Phase.CONTENDING or not self._is_settled:",
                "if self._phase is not Phase.CONTENDING:",
            ),
        ),
        proof=ByTests(tests=("tests/election/test_machine_contending.py", "-k", "last_grant")),
    ),
    Variant(
        name="contends-while-unfit",
        rules="R7",
        removed="A node that reported itself unfit contends all the same.",
        harm="Paused, without a way to the venue or on another account: it takes the lease away "
        "from a box that could trade.",
        edits=(
            Edit(
                MACHINE,
                "        if self._standing.is_waiting(now) or self._obstacles(now):\n",
                "        if self._standing.is_waiting(now):\n",
            ),
            Edit(
                MACHINE,
                "        if is_possible and not self._obstacles(now):\n",
                "        if is_possible:\n",
            ),
        ),
        proof=ByTests(tests=("tests/election/test_machine_contending.py",)),
    ),
    Variant(
        name="nonce-is-the-node",
        rules="R1, H10, pitfall 36",
        removed="A process is known by its node id alone, without a random nonce.",
        harm="A copied SD card, or a new process beside a hung one: each renews the other's lease "
        "as its own.",
        edits=(
            Edit(
                SIM,
                'self.nonce = f"{box.name}-{sim.next_number()}"',
                "self.nonce = str(box.node_id)",
            ),
        ),
        proof=InWeather(setup="copied card", stores=1, seed=2, within=100, shows="two open gates"),
    ),
)

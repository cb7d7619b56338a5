"""R5 and R6 broken: what a contender may conclude from what it sees."""

from tests.broken.variant import ByTests, InWeather, Variant
from tests.support.edited import Edit

OBSERVATION = "election/observation.py"
MEMORY = "election/memory_store.py"

VARIANTS = (
    Variant(
        name="rollback-keeps-timer",
        rules="R5, H1, pitfall 14",
        removed="The key of an observation is the write id alone, without the store's incarnation.",
        harm="The standby saw write 7; the holder renewed to 8; the store came back with 7. The "
        "standby's old timer goes on as if nothing had been renewed, and it takes a live lease.",
        edits=(
            Edit(
                OBSERVATION,
                "        if self._key != (reply.inc, reply.record.wid):\n"
                "            self.since = received\n",
                "        if not hasattr(type(self), 'seen'):\n"
                "            type(self).seen = {}\n"
                "        key = (id(self), reply.record.wid)\n"
                "        self.since = type(self).seen.setdefault(key, received)\n",
            ),
        ),
        proof=InWeather(setup="tight", stores=1, seed=4, within=100, shows="in flight"),
    ),
    Variant(
        name="old-release-trusted",
        rules="R6, H2",
        removed='"Released" is believed although the store has begun another life since.',
        harm="A takes the lease that was released before; the store falls back to "
        '"released"; B takes it at once, under the same epoch.',
        edits=(
            Edit(
                OBSERVATION,
                "if record.state is LeaseState.RELEASED and record.inc == self.inc:",
                "if record.state is LeaseState.RELEASED:",
            ),
        ),
        proof=InWeather(setup="fallbacks", stores=1, seed=4, within=100, shows="two open gates"),
    ),
    Variant(
        name="missing-is-free",
        rules="R5, R6, H3, pitfalls 15, 19 and 20",
        removed="A missing record is free at once.",
        harm="The store restarts empty while the holder trades on with seconds of permit left; "
        "whoever asks first is the second trader.",
        edits=(
            Edit(
                OBSERVATION,
                "        elapsed_s = contender_elapsed_s(since, now)\n",
                "        if record.state is LeaseState.VOID:\n"
                "            return 0.0\n"
                "        elapsed_s = contender_elapsed_s(since, now)\n",
            ),
        ),
        proof=InWeather(setup="tight", stores=1, seed=2, within=100, shows="two open gates"),
    ),
    Variant(
        name="missing-is-free-in-three",
        rules="R5, R6, H3",
        removed="The same with three stores.",
        harm="One store forgets, another is cut off from the holder: a majority looks free.",
        edits=(
            Edit(
                OBSERVATION,
                "        elapsed_s = contender_elapsed_s(since, now)\n",
                "        if record.state is LeaseState.VOID:\n"
                "            return 0.0\n"
                "        elapsed_s = contender_elapsed_s(since, now)\n",
            ),
        ),
        proof=InWeather(setup="tight", stores=3, seed=15, within=100, shows="two open gates"),
    ),
    Variant(
        name="tombstones-look-alike",
        rules="R5, H4",
        removed="Every tombstone bears the same write id.",
        harm="The store forgets twice within one ttl. Between the two the holder put its record "
        "back, which the standby did not see: for it nothing has changed, and its "
        "compare-and-set fits.",
        edits=(
            Edit(
                MEMORY,
                "                wid=new_wid,\n                inc=self._inc,\n"
                "                written_us=self._now_us(),\n            )\n"
                "        if self._record.cluster_id",
                "                wid=WriteId('void'),\n                inc=self._inc,\n"
                "                written_us=self._now_us(),\n            )\n"
                "        if self._record.cluster_id",
            ),
        ),
        proof=InWeather(setup="wipes", stores=1, seed=7, within=100, shows="two open gates"),
    ),
    Variant(
        name="half-wait",
        rules="R6",
        removed="A contender waits half a ttl.",
        harm="It takes the lease while the holder's permit still runs.",
        edits=(
            Edit(
                OBSERVATION,
                "unchanged_s = ttl_ms / 1000 * (1 + timing.drift) - elapsed_s",
                "unchanged_s = ttl_ms / 2000 - elapsed_s",
            ),
        ),
        proof=InWeather(setup="tight", stores=1, seed=3, within=100, shows="two open gates"),
    ),
    Variant(
        name="timer-from-send",
        rules="R5, H7, pitfall 9",
        removed="A contender's timer starts when it sent the question, not when the answer came.",
        harm="The question hung for four seconds on the way there: the record was written just "
        "before the answer left, and four seconds of waiting are claimed that never were.",
        edits=(
            Edit(
                OBSERVATION,
                "            self.since = received\n",
                "            self.since = sent\n",
            ),
        ),
        proof=InWeather(setup="tight", stores=1, seed=0, within=100, shows="two open gates"),
    ),
    Variant(
        name="own-ttl-only",
        rules="R6, pitfall 10",
        removed="A contender waits its own ttl, whatever the record says.",
        harm="The holder was configured with 9 s and trades on; the standby with 6 s takes over.",
        edits=(
            Edit(
                OBSERVATION,
                "ttl_ms = max(record.ttl_ms, timing.ttl_ms)",
                "ttl_ms = timing.ttl_ms",
            ),
        ),
        proof=InWeather(setup="two ttls", stores=1, seed=57, within=500, shows="two open gates"),
    ),
    Variant(
        name="tombstone-without-longest-ttl",
        rules="R6, H3, pitfall 10",
        removed="For a tombstone a contender waits its own ttl, not the longest it has ever seen.",
        harm="The record with the holder's 9 s is wiped; the tombstone names no ttl; the standby "
        "takes over after its own 6 s.",
        edits=(
            Edit(OBSERVATION, "ttl_ms = max(ttl_ms, longest_ttl_ms)", "ttl_ms = max(ttl_ms, 0)"),
        ),
        proof=InWeather(setup="two ttls", stores=1, seed=76, within=500, shows="two open gates"),
    ),
    Variant(
        name="drain-not-seen-through",
        rules="R6, R10",
        removed="A released record is taken without waiting its drain time.",
        harm="The holder released with an order of unknown outcome; the venue takes that order "
        "after the next holder has looked and begun.",
        edits=(
            Edit(
                OBSERVATION,
                "wait_s = record.drain_ms / 1000 * (1 + timing.drift)",
                "wait_s = 0.0",
            ),
        ),
        proof=InWeather(setup="late orders", stores=1, seed=0, within=100, shows="the venue takes"),
    ),
    Variant(
        name="reservation-ignored",
        rules="R6, R15",
        removed="A released record may be taken by anybody at once, whomever it is reserved for.",
        harm="A switchover to the Pi ends with a third node, or with the node that gave it away.",
        edits=(Edit(OBSERVATION, "wait_s = max(wait_s, GRACE_S)", "wait_s = max(wait_s, 0.0)"),),
        proof=ByTests(tests=("tests/election/test_machine_takeable.py",)),
    ),
    Variant(
        name="silence-resets-timer",
        rules="R5, R11",
        removed="A failed question starts the contender's timer anew.",
        harm="Over a link that loses messages the standby never gets through one ttl of waiting: "
        "after the holder's death nobody trades.",
        edits=(
            Edit(
                OBSERVATION,
                "        self.failures += 1\n",
                "        self.failures += 1\n        self.record = self.since = None\n",
            ),
        ),
        proof=InWeather(setup="outages", stores=1, seed=0, within=100, shows="nobody leads"),
    ),
    Variant(
        name="stale-look-counts",
        rules="R13, H16",
        removed="A contender counts stores that it has not heard of lately.",
        harm="Cut off from two stores it believes their records unchanged, and takes the third "
        "one's vote away from a healthy holder.",
        edits=(
            Edit(
                OBSERVATION,
                "        if self.heard is None or self.failures:\n            return False\n",
                "        if self.heard is None or self.failures >= 0:\n"
                "            return self.heard is not None\n",
            ),
        ),
        proof=InWeather(setup="robbers", stores=3, seed=2, within=100, shows="stolen"),
    ),
    Variant(
        name="unusable-keeps-timer",
        rules="R5, R11",
        removed="A store whose record could not be read keeps its old timer.",
        harm="While the record is unreadable (a replica, a foreign key) nothing is known of what "
        "the holder wrote; waiting through that time proves nothing.",
        edits=(
            Edit(
                OBSERVATION,
                "            self.record, self.inc, self.since = None, None, None\n",
                "",
            ),
        ),
        proof=ByTests(tests=("tests/election/test_observation.py",)),
    ),
)

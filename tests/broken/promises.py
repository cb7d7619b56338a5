"""R14 broken: the promise not to contend, at whoever gives it and at whoever relies on it.

In weather the same rules are broken one by one in `tests/election/test_promise_simulation.py`;
here the text that holds each of them is changed, and the test of that text must fail.
"""

from tests.broken.variant import ByTests, Variant
from tests.support.edited import Edit

PROMISE = "election/promise.py"
PROMISES = "election/promises.py"
DESK = "node/peer_desk.py"

_MACHINE = ByTests(tests=("tests/election/test_machine_promise.py",))
_RULES = ByTests(tests=("tests/election/test_promise.py",))
_WALK = ByTests(tests=("tests/node/test_peer_desk.py",))

VARIANTS = (
    Variant(
        name="told-before-it-is-durable",
        rules="R14",
        removed="The holder hears of a promise that the disk did not take.",
        harm="The standby's box reboots, remembers nothing and takes over, while the holder trades "
        "on by its word.",
        edits=(
            Edit(
                DESK,
                "            return Outcome(code=UNSURE, text=f"
                '"the promise is not durable: {error}")\n',
                "            del error\n",
            ),
        ),
        proof=_WALK,
    ),
    Variant(
        name="lost-memory-frees",
        rules="R14",
        removed="A disk that remembers nothing has promised nothing.",
        harm="A new SD card: the node that had promised contends while the holder relies on it.",
        edits=(
            Edit(
                "election/promise_file.py",
                "        except FileNotFoundError:\n            return NOT_KNOWN\n",
                "        except FileNotFoundError:\n"
                '            return parse_memory(\'{"v": 1, "state": "none"}\')\n',
            ),
        ),
        proof=_RULES,
    ),
    Variant(
        name="promised-with-an-attempt-open",
        rules="R14",
        removed="A node that promises goes on with what it has asked for.",
        harm="The attempt that was under way is granted after the promise was given.",
        edits=(
            Edit(
                PROMISES,
                '                    self._standing.end("this node stands down", now, chance)\n',
                "",
            ),
        ),
        proof=_MACHINE,
    ),
    Variant(
        name="holder-stands-down",
        rules="R14",
        removed="Also a holder may promise not to contend.",
        harm="It would promise what it does not do, or end its lease without handing over.",
        edits=(
            Edit(
                PROMISES,
                "                if self._standing.phase is not Phase.HOLDING:\n",
                "                if self._standing.phase:\n",
            ),
        ),
        proof=_MACHINE,
    ),
    Variant(
        name="promise-for-any-grant",
        rules="R14",
        removed="Any process in any epoch may rely on a promise that arrives.",
        harm="A promise that was delayed past its end is relied on by a later grant, and nobody is "
        "bound by it any more.",
        edits=(
            Edit(
                PROMISE,
                "if promise.to_nonce != facts.nonce or promise.epoch != facts.epoch or not "
                "facts.epoch:",
                "if not facts.epoch:",
            ),
        ),
        proof=_RULES,
    ),
    Variant(
        name="ended-promise-relied-on",
        rules="R14",
        removed="A promise that was ended is relied on when it arrives late.",
        harm="The standby contends again, and the holder believes that it does not.",
        edits=(Edit(PROMISE, "if promise.promise_id in self._ended:", "if not promise.by:"),),
        proof=_RULES,
    ),
    Variant(
        name="promise-in-three-stores",
        rules="R14",
        removed="With three stores a promise is relied on too.",
        harm="Two of three go on anyway; a promise would only be one more way to lose the spare.",
        edits=(Edit(PROMISE, "if facts.stores != 1:", "if facts.stores == 0:"),),
        proof=_RULES,
    ),
    Variant(
        name="agrees-before-it-lets-go",
        rules="R14",
        removed="The holder agrees to an end and goes on relying.",
        harm="The standby takes over one ttl later; the holder trades on without a store.",
        edits=(
            Edit(
                DESK,
                "        after = yield self._driving(PromiseDropped())\n"
                "        if after is None or after.holder.relies_on is not None:\n",
                "        after = facts\n        if after is None:\n",
            ),
        ),
        proof=_WALK,
    ),
    Variant(
        name="agrees-while-the-store-is-silent",
        rules="R14",
        removed="The holder agrees to an end also while no store acknowledges.",
        harm="It stops one ttl later, and the standby cannot take over either: nobody trades.",
        edits=(
            Edit(
                PROMISE,
                "if facts.proven_s is not None and facts.proven_s <= facts.ttl_ms / 1000 / 2:",
                "if facts.ttl_ms:",
            ),
        ),
        proof=_RULES,
    ),
    Variant(
        name="stands-up-at-once",
        rules="R14",
        removed="When the promise is over the node contends without waiting one ttl.",
        harm="The holder's last round, which no store acknowledged, may have left a moment before "
        "it let go: its permit still runs.",
        edits=(
            Edit(
                PROMISES,
                "self._holds_off = (now, ttl_ms / 1000 * (1 + self._world.timing.drift))",
                "self._holds_off = (now, 0.0 * ttl_ms)",
            ),
        ),
        proof=_MACHINE,
    ),
    Variant(
        name="stands-up-with-old-timers",
        rules="R14, R5",
        removed="The timers of the time in which it was bound count when it stands up.",
        harm="None for the trading, because the wait after standing up is as long; but what people "
        "are shown counts down to a takeover that does not come.",
        edits=(Edit(PROMISES, "                self._world.observed.restart(now)\n", ""),),
        proof=_MACHINE,
    ),
    Variant(
        name="promise-outvotes-the-store",
        rules="R14, R8",
        removed="A holder that relies on a promise goes on although the store names a rival.",
        harm="A person forced the standby, or a promise was broken: two trade until the permit "
        "ends, which it does not while rounds count by themselves.",
        edits=(
            Edit(
                "election/machine.py",
                "        if self._standing.phase is Phase.HOLDING:\n"
                "            self._standing.check_deposed(now, chance)\n",
                "        grant = self._standing.grant\n"
                "        if grant is not None and grant.promise is None:\n"
                "            self._standing.check_deposed(now, chance)\n",
            ),
        ),
        proof=_MACHINE,
    ),
    Variant(
        name="promise-renews-a-hung-loop",
        rules="R14, R8",
        removed="A promise counts as progress: rounds begin although the work loop hangs.",
        harm="A holder that hangs keeps the lease for ever, and nobody may take it.",
        edits=(
            Edit(
                "election/standing.py",
                "        elif not hang and (",
                "        elif (not hang or tenure.promise is not None) and (",
            ),
        ),
        proof=_MACHINE,
    ),
    Variant(
        name="challenge-of-yesterday",
        rules="R13, R14",
        removed="A message that was signed over an old challenge is accepted.",
        harm="Whoever recorded the end of a promise, or a promise, plays it again when it hurts.",
        edits=(
            Edit(
                "election/peer_auth.py",
                "if not 0 <= now_s - issued_s <= CHALLENGE_S or issued_s <= self._floor_s:",
                "if now_s < issued_s:",
            ),
        ),
        proof=ByTests(tests=("tests/node/test_peer_endpoint.py", "-k", "challenges_end")),
    ),
    Variant(
        name="forced-blindly",
        rules="R14",
        removed="A person's force ends a promise also while the holder answers and relies on it.",
        harm="Two traders, by one command.",
        edits=(
            Edit(
                DESK,
                "if (relied and relied == self.memory.promise_id) or status.is_holder:",
                "if relied and not status.node_id:",
            ),
        ),
        proof=_WALK,
    ),
)

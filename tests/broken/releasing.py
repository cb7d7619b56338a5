"""R10 and the kernel fence broken: how a grant ends."""

from tests.broken.variant import SIM, ByTests, InWeather, Kept, Variant
from tests.support.edited import Edit

STANDING = "election/standing.py"
CALLS = "election/calls.py"
PERMIT = "election/permit.py"

VARIANTS = (
    Variant(
        name="released-with-writes-in-flight",
        rules="R10, pitfall 35",
        removed="The lease is released without waiting for requests under way.",
        harm="The other box takes over within milliseconds while this one's order is still being "
        "sent.",
        edits=(Edit(SIM, "if self.permit.in_flight == 0:", "if self.permit.in_flight >= 0:"),),
        proof=InWeather(setup="paused", stores=1, seed=0, within=100, shows="in flight"),
    ),
    Variant(
        name="no-drain-told",
        rules="R10",
        removed="A release says nothing of orders whose outcome is unknown.",
        harm="Such an order may still be taken by the venue until its deadline, when the next "
        "holder has already counted what is there.",
        edits=(
            Edit(
                SIM,
                "drain_ms = max(0, int((self.unknown_until - self.sim.now) * 1000) + 1)",
                "drain_ms = 0",
            ),
        ),
        proof=InWeather(setup="late orders", stores=1, seed=0, within=100, shows="the venue takes"),
    ),
    Variant(
        name="stops-without-release",
        rules="R10, H17",
        removed="A clean stop or switchover writes nothing to the stores.",
        harm="The other box waits a whole ttl, as after a power cut.",
        edits=(
            Edit(
                STANDING,
                "            calls.queue_farewell(observation.name, farewell)\n",
                "            del farewell\n",
            ),
        ),
        proof=InWeather(setup="switchovers", stores=1, seed=0, within=100, shows="nobody leads"),
    ),
    Variant(
        name="release-sent-once",
        rules="R10",
        removed="A release whose answer was lost is not repeated.",
        harm="One lost packet turns a switchover into a wait of a whole ttl.",
        edits=(
            Edit(
                CALLS,
                "                    farewell=first,\n                )\n",
                "                    farewell=first,\n                )\n"
                "                queue.popleft()\n",
            ),
        ),
        proof=ByTests(tests=("tests/election/test_machine_releasing.py",)),
    ),
    Variant(
        name="giver-takes-back",
        rules="R10, R15",
        removed="The node that gave the lease away contends again at once.",
        harm="A switchover ends where it began.",
        edits=(
            Edit(
                STANDING,
                "        self._wait = (now, GRACE_S)  # others first\n",
                "        self._wait = None\n",
            ),
        ),
        proof=ByTests(tests=("tests/election/test_machine_releasing.py",)),
    ),
    Variant(
        name="late-answer-frees-the-slot",
        rules="R4",
        removed="An answer that matches no call under way counts like any other.",
        harm="Answers overtake each other: an older record is believed to be the newest.",
        edits=(
            Edit(
                CALLS,
                "        if self._under_way.get(call.store) != call:\n            return False\n"
                "        del self._under_way[call.store]\n",
                "        if self._under_way.get(call.store) == call:\n"
                "            del self._under_way[call.store]\n",
            ),
        ),
        proof=ByTests(tests=("tests/election/test_machine_holding.py",)),
    ),
    Variant(
        name="no-fence",
        rules="Kernel fence, pitfall 6",
        removed="No kernel timer ends a process that outlives its lease.",
        harm="A process is stopped in the middle of a request and goes on when the other box "
        "leads.",
        edits=(Edit(PERMIT, "        self._fence.arm(boottime_s)\n", ""),),
        proof=InWeather(setup="paused", stores=1, seed=3, within=100, shows="in flight"),
    ),
    Variant(
        name="disarmed-with-writes-in-flight",
        rules="Kernel fence, pitfall 34",
        removed="The fence is taken away when the gate closes, although a request is under way.",
        harm="The process is stopped right then, and its request goes on when the other box leads.",
        edits=(
            Edit(
                PERMIT,
                "if self._is_closed and self._is_armed and not self._in_flight and not "
                "self._is_condemned:",
                "if self._is_closed and self._is_armed and not self._is_condemned:",
            ),
        ),
        proof=InWeather(setup="paused", stores=1, seed=91, within=500, shows="in flight"),
    ),
    Variant(
        name="heartbeat-disarms",
        rules="Kernel fence, R8",
        removed="The heartbeat takes the fence away when a grant ends, not the work loop.",
        harm="A process whose work loop hangs lives on as a spare that is none.",
        edits=(
            Edit(
                PERMIT,
                "            self._window = None\n\n    def condemn",
                "            self._window = None\n            self._settle()\n\n    def condemn",
            ),
        ),
        proof=InWeather(setup="hangs", stores=1, seed=0, within=100, shows="still lives"),
    ),
    Variant(
        name="gate-reopens",
        rules="Kernel fence",
        removed="An acknowledgement that comes after the gate was closed opens it again.",
        harm="A draining holder sends again after it has counted what is in flight.",
        edits=(
            Edit(
                PERMIT,
                "if window is None or window.epoch != epoch or self._is_closed:\n"
                "                return",
                "if window is not None and window.epoch == epoch and self._is_draining:\n"
                "                self._is_closed = self._is_draining = False\n"
                "            if window is None or window.epoch != epoch or self._is_closed:\n"
                "                return",
            ),
        ),
        proof=ByTests(tests=("tests/election/test_permit.py",)),
    ),
    Variant(
        name="write-longer-than-permit",
        rules="R9, Kernel fence",
        removed="A write begins although less permit is left than it may need.",
        harm="It would end after the gate; the guard before the fence forgives that once, by "
        "design, so that the kernel does not kill a healthy process.",
        edits=(
            Edit(
                PERMIT,
                "if remaining_s <= 0 or remaining_s < needed_s:",
                "if remaining_s <= 0:",
            ),
        ),
        proof=ByTests(tests=("tests/election/test_permit.py",)),
    ),
    Variant(
        name="write-under-another-epoch",
        rules="R9",
        removed="The permit does not compare the epoch that a write was prepared under.",
        harm="An order decided and journalled under a former grant leaves under the next one.",
        edits=(
            Edit(
                PERMIT,
                "            if window is None or window.epoch != epoch:\n"
                "                return False\n"
                "            remaining_s",
                "            if window is None:\n"
                "                return False\n"
                "            remaining_s",
            ),
        ),
        proof=ByTests(tests=("tests/election/test_permit.py",)),
    ),
)
_ = Kept

"""R0 broken: clocks, and the reserves of time between holder, fence and contender."""

from tests.broken.variant import SIM, ByTests, InWeather, Variant
from tests.support.edited import Edit

INSTANTS = "election/instants.py"
UNSET = InWeather(setup="hostile", stores=1, seed=0, within=0, shows="")

VARIANTS = (
    Variant(
        name="holder-slower-clock",
        rules="R0, pitfall 5",
        removed="The holder counts its time on the slower of its two clocks.",
        harm="NTP slows its system clock by a tenth: it believes for half a second too long that "
        "it still leads, while the other box, whose clock is honest, takes over.",
        edits=(Edit(INSTANTS, "return max(boot_s, raw_s)", "return min(boot_s, raw_s)"),),
        proof=InWeather(setup="slewed", stores=1, seed=185, within=1000, shows="two open gates"),
    ),
    Variant(
        name="contender-faster-clock",
        rules="R0, pitfall 5",
        removed="The contender counts its waiting on the faster of its two clocks.",
        harm="NTP hurries its system clock by a tenth: it believes that it has waited long enough "
        "and takes the lease while the holder may still send.",
        edits=(
            Edit(
                INSTANTS,
                "max(0.0, min(now.boot_s - since.boot_s, now.raw_s - since.raw_s))",
                "max(0.0, max(now.boot_s - since.boot_s, now.raw_s - since.raw_s))",
            ),
        ),
        proof=InWeather(setup="slewed", stores=1, seed=374, within=1000, shows="the venue takes"),
    ),
    Variant(
        name="no-drift-reserve",
        rules="R0, R6",
        removed="The contender waits ttl instead of ttl·(1+d).",
        harm="Two honest quartz clocks, one 2 % slow and one 2 % fast: a stopped holder's write is "
        "still under way, its kernel fence has not fired yet, and the other box takes over.",
        edits=(
            Edit(
                "election/observation.py",
                "unchanged_s = ttl_ms / 1000 * (1 + timing.drift) - elapsed_s",
                "unchanged_s = ttl_ms / 1000 - elapsed_s",
            ),
        ),
        proof=InWeather(
            setup="slewed and paused", stores=1, seed=227, within=1000, shows="in flight"
        ),
    ),
    Variant(
        name="backward-clock-believed",
        rules="R0, scenario 47",
        removed="A clock that ran backwards is not noticed.",
        harm="The holder's clocks jump back by some seconds; its permit grows by as much, past the "
        "moment at which the other box takes over.",
        edits=(Edit(INSTANTS, "return (ClockFault.BACKWARD,)", "return ()"),),
        proof=InWeather(setup="backward", stores=1, seed=207, within=1000, shows="in flight"),
    ),
    Variant(
        name="gate-without-guard",
        rules="Kernel fence",
        removed="The gate closes at the very moment of the fence, not guard_ms before it.",
        harm="A healthy process that is only cut off from its store has no time to close and to "
        "take its fence away: the kernel kills it each time.",
        edits=(
            Edit(
                "election/model.py",
                "return self.fence_s - self.guard_ms / 1000",
                "return self.fence_s",
            ),
        ),
        proof=InWeather(setup="cut off", stores=1, seed=2, within=100, shows="healthy_kills"),
    ),
    Variant(
        name="timing-not-summed",
        rules="Kernel fence",
        removed="A timing is taken whose two renewals, timeout and guard do not fit.",
        harm="One lost answer, and the gate closes or the kernel kills a healthy holder.",
        edits=(Edit("election/model.py", "if needed >= fence:", "if needed <= 0:"),),
        proof=ByTests(tests=("tests/node/test_config.py",)),
    ),
    Variant(
        name="unfenced-node-leads",
        rules="Kernel fence",
        removed="A node whose kernel fence cannot be armed contends again.",
        harm="It can be granted the lease and cannot open the gate; what would stop it when it is "
        "frozen is missing.",
        edits=(
            Edit(
                "election/machine.py",
                "own = (self._fence_error, self._describe_hang(now))",
                'own = ("", self._describe_hang(now))',
            ),
        ),
        proof=ByTests(tests=("tests/election/test_machine_holding.py", "-k", "refused_gate")),
    ),
    Variant(
        name="late-tick-unnoticed",
        rules="R0",
        removed="A tick that comes later than ttl/3 closes nothing.",
        harm="After a suspend or a long stall the node sends its next request with a measure of "
        "the venue's clock that was taken before. The permit is safe without it (it is time, not "
        "ticks); the stamp inside the request is not.",
        edits=(
            Edit(
                INSTANTS,
                "    if holder_elapsed_s(previous, now) > tick_s + ttl_s / 3:\n"
                "        faults.append(ClockFault.LATE)\n",
                "",
            ),
        ),
        proof=ByTests(tests=("tests/election/test_machine_clocks.py",)),
    ),
    Variant(
        name="wall-step-unnoticed",
        rules="R0, pitfall 3",
        removed="A wall clock that was set closes nothing.",
        harm="The venue's clock offset was measured against the old wall clock of the box's NTP; "
        "requests would carry a stamp that may be off by the step.",
        edits=(
            Edit(
                INSTANTS,
                "    if abs(moved_s) > WALL_STEP_S:\n        faults.append(ClockFault.STEPPED)\n",
                "",
            ),
        ),
        proof=ByTests(tests=("tests/election/test_machine_clocks.py",)),
    ),
    Variant(
        name="offset-outlives-a-stall",
        rules="R0, R9",
        removed="What was measured of the venue's clock before a clock fault is used after it.",
        harm="The node slept: its two clocks disagree by as long, and every order is refused as "
        "uncertain until the next regular measurement.",
        edits=(Edit("node/runtime.py", "if event.code in CLOCK_FAULTS:", "if event.code in ():"),),
        proof=ByTests(tests=("tests/sim/test_clock_faults.py",)),
    ),
    Variant(
        name="suspension-ends-by-old-renewal",
        rules="R0",
        removed="Any acknowledgement ends a suspension, also of a renewal sent before the event.",
        harm="The answer that was already under way when the box slept opens the gate again before "
        "anything was proven or measured after the sleep.",
        edits=(
            Edit(
                "election/permit.py",
                "if since is not None and not is_earlier(sent, since):",
                "if since is not None:",
            ),
        ),
        proof=ByTests(tests=("tests/election/test_permit.py",)),
    ),
    Variant(
        name="stamp-ahead-of-venue",
        rules="R9, H12",
        removed="The time stamp of a request may be up to a second ahead of the venue's clock.",
        harm="The venue takes stamps up to a second ahead and adds the window to them: a late "
        "order is taken after the other box has begun.",
        edits=(
            Edit(
                SIM,
                "stamp_s = self.sim.now - self.sim.rng.uniform(0, OFFSET_ERROR_S)",
                "stamp_s = self.sim.now + 1.0",
            ),
        ),
        proof=InWeather(setup="late orders", stores=1, seed=2, within=100, shows="the venue takes"),
    ),
    Variant(
        name="no-deadline",
        rules="R9, H11, pitfalls 6 and 7",
        removed="Requests carry no deadline.",
        harm="An order that hung in a buffer or on the way for ten seconds is taken by the venue "
        "after the other box has taken over, perhaps after it bought the same.",
        edits=(
            Edit(
                SIM,
                "deadline_s = stamp_s + min(RECV_WINDOW_S, self.permit.remaining_s() - MARGIN_S)",
                "deadline_s = stamp_s + 60.0",
            ),
        ),
        proof=InWeather(setup="hostile", stores=1, seed=3, within=100, shows="the venue takes"),
    ),
    Variant(
        name="window-not-bounded-by-permit",
        rules="R9",
        removed="The window is the configured one, also when less than that is left of the permit.",
        harm="A request signed at the end of the permit is taken up to the whole window later, "
        "when the other box may lead.",
        edits=(
            Edit(
                SIM,
                "stamp_s + min(RECV_WINDOW_S, self.permit.remaining_s() - MARGIN_S)",
                "stamp_s + RECV_WINDOW_S",
            ),
        ),
        proof=InWeather(setup="late orders", stores=1, seed=0, within=100, shows="the venue takes"),
    ),
)

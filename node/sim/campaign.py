"""Many seeds, on several processors: what was simulated, what went wrong, how fast."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

from node.sim.simulation import Plan, Report, Simulation
from node.sim.timeline import before_the_end, render_timeline

HOUR_S = 3600.0
MINUTE_S = 60.0
SHOWN_S = 90.0  # of a failing seed's timeline


# What storms must lead to, beyond every kind of fault, for a campaign to mean something.
MUST_BE_SEEN = (
    "lease.granted",
    "lease.lapsed",
    "fence kill",
    "takeover.finished",
    "takeover adopts orders",
    "fill in a gap",
    "order.unknown",
    "killed with a write in flight",
    "killed at a takeover",
    "takeover.told_late",
    "pause known everywhere",
    "message lost",
    "message slow",
    "message doubled",
    "books compared",
    "latch.loss_limit",
    "loss limit known everywhere",
    "takeover while the loss limit was latched",
    "loss limit lifted",
    "peer message lost",
    "peer message late",
    "peer message replayed",
    "peer answer replayed",
    "post mortem released",
    "post mortem with a drain",
    "post mortem refused by the claim",
    "stop hook killed",
    "crashes.latched",
    "crashes.cleared",
)
# Where a promise can be given: two boxes with one store, which a stop hook may not reach either.
MUST_BE_SEEN_OF_PROMISES = (
    "post mortem not released",
    "stand-down given",
    "stand-down not given",
    "stand-down taken back",
    "stand-down not taken back",
    "stand-down forced",
    "promise.relied",
    "promise.ended",
    "promise.adopted",
    "seconds led by a promise alone",
    "reboot without a gap",
    "led after a forced end",
)


@dataclass(slots=True, kw_only=True)
class Summary:
    """What a campaign showed. `failures` has each violation with its seed and timeline.

    `took_s` is time that passed, `cpu_s` what the processors spent on the runs themselves.
    """

    seeds: int = 0
    has_promises: bool = False  # one store: a node could stand down
    simulated_h: float = 0.0
    led_h: float = 0.0
    took_s: float = 0.0
    cpu_s: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[Plan, str, str]] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)

    def add(self, report: Report) -> list[tuple[Plan, str, str]]:
        """Add one run; return what went wrong in it: plan, violation, end of the timeline."""
        before = len(self.failures)
        self.seeds += 1
        self.has_promises = self.has_promises or report.plan.stores == 1
        self.simulated_h += report.simulated_s / HOUR_S
        self.led_h += report.led_s / HOUR_S
        self.cpu_s += report.took_s
        self.digests.append(report.digest)
        self.counts.update(report.counts)  # a fault that never struck stays, as 0
        for violation in report.violations:
            shown = before_the_end(report.timeline, seconds=SHOWN_S)
            self.failures.append((report.plan, violation, render_timeline(shown)))
        return self.failures[before:]

    @property
    def unseen(self) -> tuple[str, ...]:
        """What should have happened and did not: a campaign that lacks it proves nothing of it."""
        silent = [kind for kind, count in self.counts.items() if count == 0]
        wanted = MUST_BE_SEEN + (MUST_BE_SEEN_OF_PROMISES if self.has_promises else ())
        return (*silent, *(what for what in wanted if not self.counts[what]))

    @property
    def hours_per_minute(self) -> float:
        """Simulated cluster hours in one minute of this machine."""
        return self.simulated_h / (self.took_s / MINUTE_S) if self.took_s else 0.0

    @property
    def cpu_s_per_hour(self) -> float:
        """Seconds of one processor for one simulated cluster hour."""
        return self.cpu_s / self.simulated_h if self.simulated_h else 0.0

    @property
    def digest(self) -> str:
        """A hash of all runs: the same plans of the same program have the same one."""
        return hashlib.blake2b(" ".join(self.digests).encode(), digest_size=12).hexdigest()

    @property
    def faults(self) -> int:
        """How many faults struck, apart from messages."""
        return sum(n for name, n in self.counts.items() if name.startswith("fault: "))


def run_plan(plan: Plan) -> Report:
    """Run one seed; the timeline comes along only if something went wrong."""
    report = Simulation(plan).run()
    if not report.violations:
        report.timeline = []
    return report


def run_campaign(plans: Iterable[Plan], *, jobs: int) -> Iterator[Report]:
    """Run all plans; with more than one job on as many processors, in any order of time."""
    if jobs <= 1:
        yield from map(run_plan, plans)
        return
    with ProcessPoolExecutor(max_workers=jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(run_plan, plans)


def summarise(
    plans: Iterable[Plan],
    *,
    jobs: int,
    on_failure: Callable[[Plan, str, str], None] = lambda _plan, _violation, _timeline: None,
) -> Summary:
    """Run all plans and add them up; `on_failure` is told of each violation when it is found."""
    began_s = time.monotonic()
    summary = Summary()
    for report in run_campaign(plans, jobs=jobs):
        for failure in summary.add(report):
            on_failure(*failure)
    summary.took_s = time.monotonic() - began_s
    return summary


def render_summary(summary: Summary, *, stores: int) -> str:
    """Return the figures of a campaign in words."""
    counts = summary.counts
    lines = [
        f"stores {stores}: {summary.seeds} seeds, {summary.simulated_h:.1f} cluster hours in "
        f"{summary.took_s:.0f} s ({summary.hours_per_minute:.1f} hours a minute, "
        f"{summary.cpu_s_per_hour:.1f} s of one processor an hour), "
        f"violations {len(summary.failures)}",
        f"  somebody traded for {100 * summary.led_h / max(summary.simulated_h, 1e-9):.0f} % of "
        f"the time; faults {summary.faults}, messages lost {counts['message lost']}, slow "
        f"{counts['message slow']}, doubled {counts['message doubled']}",
        f"  grants {counts['lease.granted']}, lapses {counts['lease.lapsed']}, deposed "
        f"{counts['lease.deposed']}, fence kills {counts['fence kill']}, takeovers "
        f"{counts['takeover.finished']}",
        f"  orders accepted {counts['order accepted']}, fills {counts['fill']}, outcomes unknown "
        f"{counts['order.unknown']}, killed with a write in flight "
        f"{counts['killed with a write in flight']}, takeovers that adopted "
        f"{counts['takeover adopts orders']}, with fills in the gap {counts['fill in a gap']}, "
        f"with orders unclear {counts['takeover with orders in flight']}",
        f"  asked directly: lost {counts['peer message lost']}, late "
        f"{counts['peer message late']}, replayed "
        f"{counts['peer message replayed'] + counts['peer answer replayed']}; stop hooks released "
        f"{counts['post mortem released']}, killed {counts['stop hook killed']}; crash loops "
        f"{counts['crashes.latched']}, cleared {counts['crashes.cleared']}",
        f"  stood down {counts['stand-down given']} times, taken back "
        f"{counts['stand-down taken back']}, forced {counts['stand-down forced']}; led by a "
        f"promise alone for {counts['seconds led by a promise alone']} s",
        f"  pauses {counts['pause set']}, loss limits latched {counts['latch.loss_limit']}, "
        f"lifted {counts['loss limit lifted']}, inherited "
        f"{counts['takeover while the loss limit was latched']}, books "
        f"compared {counts['books compared']}; digest {summary.digest}",
    ]
    return "\n".join(lines)

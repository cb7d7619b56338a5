"""The kernel fence and the write path in detail: each part of them taken away."""

from tests.broken.variant import ByTests, Variant
from tests.support.edited import Edit

FENCE = "election/kernel_fence.py"
PERMIT = "election/permit.py"
TICKET = "exchange/ccxt_ticket.py"
ORDERS = "exchange/orders.py"
STRICT = "exchange/ccxt_strict.py"

_KERNEL = ByTests(tests=("tests/election/test_kernel_fence.py", "-k", "boot_clock or at_once"))
_PERMIT = ByTests(tests=("tests/election/test_permit.py",))
_PATH = ByTests(tests=("tests/exchange/test_orders.py",))

VARIANTS = (
    Variant(
        name="fence-blind-to-sleep",
        rules="Kernel fence, pitfall 4",
        removed="The fence's timer runs on CLOCK_MONOTONIC, which stands still in a suspend.",
        harm="A box that slept through its lease wakes with a fence that fires too late by as long "
        "as it slept.",
        edits=(Edit(FENCE, "CLOCK_BOOTTIME = 7  #", "CLOCK_BOOTTIME = 1  #"),),
        proof=_KERNEL,
    ),
    Variant(
        name="fence-asks-politely",
        rules="Kernel fence",
        removed="The timer sends SIGTERM instead of SIGKILL.",
        harm="A process that is stopped, or blocks the signal, goes on with its request later.",
        edits=(Edit(FENCE, "int(signal.SIGKILL)", "int(signal.SIGTERM)"),),
        proof=_KERNEL,
    ),
    Variant(
        name="fence-counts-from-its-call",
        rules="Kernel fence",
        removed="The fence is armed with seconds from now on, not with an instant.",
        harm="A process that was stopped between the sum and the call lives its whole time once "
        "more after it is woken.",
        edits=(Edit(FENCE, "ctypes.c_int(TIMER_ABSTIME)", "ctypes.c_int(0)"),),
        proof=_KERNEL,
    ),
    Variant(
        name="past-instant-disarms",
        rules="Kernel fence",
        removed="An instant before the boot is given to the kernel as it is.",
        harm="Zero takes the kernel's timer away: what should have fired at once never does.",
        edits=(Edit(FENCE, "max(1, floor(", "max(0, floor("),),
        proof=_KERNEL,
    ),
    Variant(
        name="fence-from-reply",
        rules="Kernel fence, R8, pitfall 8",
        removed="The fence counts from the acknowledgement of the renewal, not from its send.",
        harm="The answer hung for seconds: the fence fires when the other box leads already.",
        edits=(
            Edit(
                PERMIT,
                "boottime_s = sent.boot_s + self._fence_s",
                "boottime_s = instant_of(self._clock.read()).boot_s + self._fence_s",
            ),
        ),
        proof=_PERMIT,
    ),
    Variant(
        name="crashed-heartbeat-lives-on",
        rules="Kernel fence",
        removed="When the heartbeat crashed the fence is taken away like after any grant.",
        harm="A process stays in which nobody renews, contends, or tells.",
        edits=(
            Edit(
                PERMIT,
                "and not self._in_flight and not self._is_condemned:",
                "and not self._in_flight:",
            ),
        ),
        proof=_PERMIT,
    ),
    Variant(
        name="write-outlives-the-permit",
        rules="R9, Kernel fence",
        removed="The total timeout of a write is the configured one, whatever is left.",
        harm="A request is open when the gate closes: it is refused although it had time, or cut "
        "by the kernel with its outcome unknown.",
        edits=(
            Edit(
                TICKET,
                "min(self._timeout_s, self._permit.remaining_s() - MARGIN_S)",
                "self._timeout_s",
            ),
        ),
        proof=ByTests(tests=("tests/exchange/test_gateway.py",)),
    ),
    Variant(
        name="second-request-of-one-write",
        rules="R9",
        removed="One write may send more than one request.",
        harm="A library that repeats or asks something first sends what no permit was asked for.",
        edits=(
            Edit(TICKET, "if self._is_spent:\n            raise", "if False:\n            raise"),
        ),
        proof=ByTests(tests=("tests/exchange/test_gateway_outcomes.py", "-k", "retrying")),
    ),
    Variant(
        name="cancel-without-permit",
        rules="R9",
        removed="A cancel does not ask the permit before it is prepared.",
        harm="The write path of a node that is fenced prepares cancels; only the last hop stops "
        "them.",
        edits=(
            Edit(
                ORDERS,
                "            reason = self._permit_gap(self._timing.needed_softer_s)\n"
                "            if reason:",
                '            reason = ""\n            if reason:',
            ),
        ),
        proof=_PATH,
    ),
    Variant(
        name="read-may-change",
        rules="R9",
        removed="A request that changes something may leave without a permit, as part of a read.",
        harm="What a library, or a careless line, sends besides is fenced by nothing: a leverage, "
        "a countdown, a cancel.",
        edits=(Edit(STRICT, "        if is_change:\n", "        if is_change is None:\n"),),
        proof=ByTests(tests=("tests/exchange/test_reader.py",)),
    ),
    Variant(
        name="changing-get-is-a-read",
        rules="R9",
        removed="Every GET counts as a read, also where a venue places orders with one.",
        harm="Such a venue's orders ask no permit.",
        edits=(
            Edit(
                STRICT,
                "return any(path.endswith(changing) for changing in self.hooks.changing_gets)",
                "return not path",
            ),
        ),
        proof=ByTests(tests=("tests/exchange/test_ccxt_strict.py",)),
    ),
    Variant(
        name="journal-time-not-counted",
        rules="R9, Journal",
        removed="Neither permit nor window are looked at again after the intent is journalled.",
        harm="The card stalled for seconds while the intent was written, and the order leaves with "
        "what was left before.",
        edits=(
            Edit(
                ORDERS,
                "        if left_ms < self._timing.write_ms:\n",
                "        if left_ms is None:\n",
            ),
            Edit(
                ORDERS,
                " ms of the order's window are left\"\n        return self._permit_gap(needed_s)",
                " ms of the order's window are left\"\n        return ''",
            ),
        ),
        proof=_PATH,
    ),
)

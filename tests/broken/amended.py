"""What was added to the rules since: configuration, fingerprints, latches, a disk that died."""

from tests.broken.variant import ByTests, Variant
from tests.support.edited import Edit

CONFIG = "node/config_rules.py"
FINGERPRINT = "strategy/fingerprint.py"

_CONFIG = ByTests(tests=("tests/node/test_config.py",))
_FINGERPRINT = ByTests(tests=("tests/strategy/test_fingerprint.py",))
_PATH = ByTests(tests=("tests/exchange/test_orders.py",))

VARIANTS = (
    Variant(
        name="single-host-in-prod",
        rules="R2",
        removed="Everything on one machine, loopback addresses with it, is taken in prod too.",
        harm="Both boxes' files say single-host: each has stores of its own, two traders.",
        edits=(
            Edit(
                CONFIG,
                "elif parts.cluster.profile is Profile.PROD:",
                "elif parts.cluster.profile is None:",
            ),
        ),
        proof=_CONFIG,
    ),
    Variant(
        name="fence-off-in-prod",
        rules="Kernel fence",
        removed="The kernel fence may be switched off in every profile.",
        harm="A breakpoint's setting is left in the file, and nothing stops a frozen process.",
        edits=(
            Edit(
                CONFIG,
                "if not lease.is_fence_enabled and profile is not Profile.DEV:",
                "if not lease.is_fence_enabled and profile is None:",
            ),
        ),
        proof=_CONFIG,
    ),
    Variant(
        name="store-list-changes-while-trading",
        rules="R3",
        removed="A store is replaced although the cluster is not paused.",
        harm="One node trades by the old list while the other one takes the lease by the new one.",
        edits=(
            Edit(
                "node/replacing.py",
                "    if not latches.is_paused:\n",
                "    if latches.is_paused is None:\n",
            ),
        ),
        proof=ByTests(tests=("tests/node/test_replacing.py",)),
    ),
    Variant(
        name="parameters-not-compared",
        rules="R7",
        removed="The fingerprint is of the strategy's file only, not of its parameters.",
        harm="A failover quietly becomes a change of size or step, with somebody else's memory.",
        edits=(Edit(FINGERPRINT, "_canonical(parameters)", "_canonical({})"),),
        proof=_FINGERPRINT,
    ),
    Variant(
        name="limits-not-compared",
        rules="R7",
        removed="The fingerprint leaves the limits out.",
        harm="The other box trades on with limits that its owner has not accepted there.",
        edits=(Edit(FINGERPRINT, "_canonical(limits or {})", "_canonical({})"),),
        proof=_FINGERPRINT,
    ),
    Variant(
        name="long-gap-untold",
        rules="R8",
        removed="A gap between renewals above a third of the ttl is measured and not told.",
        harm="A card or a processor that is too slow shows as a failover, not as a warning.",
        edits=(
            Edit(
                "node/beat_watch.py",
                "self.longest_s > self.bound_s",
                "self.longest_s > 3600.0",
            ),
        ),
        proof=ByTests(tests=("tests/node/test_beat_watch.py",)),
    ),
    Variant(
        name="unclear-symbol-takes-new-risk",
        rules="Absence",
        removed="New risk is taken in a symbol of which an order is unclear.",
        harm="The order that is called unknown fills after all: the position is twice what it may "
        "be.",
        edits=(
            Edit(
                "exchange/placements.py",
                "if symbol in self.inputs.findings.blocked:",
                'if symbol == "":',
            ),
        ),
        proof=ByTests(tests=("tests/exchange/test_plan.py",)),
    ),
    Variant(
        name="latches-not-pushed-again",
        rules="Journal and latches",
        removed="The latches that a node knows are not put back into stores that forgot them.",
        harm="The pause is on one disk only; when that box is away it is gone.",
        edits=(
            Edit(
                "node/cluster_watch.py",
                "            put = await asyncio.to_thread(self._control.push, records)\n"
                "            self._is_owing = not put.is_majority",
                "            self._is_owing = False",
            ),
        ),
        proof=ByTests(tests=("tests/node/test_cluster_watch.py",)),
    ),
    Variant(
        name="disk-loss-stops-a-pair-of-three",
        rules="Disk",
        removed="With three stores too a holder whose disk died opens no new risk.",
        harm="A card that dies while no other node is well stops trading, although a majority of "
        "the stores keeps every intent.",
        edits=(
            Edit(
                "exchange/orders.py",
                "not (self._is_disk_optional or is_softer):",
                "not is_softer:",
            ),
        ),
        proof=_PATH,
    ),
    Variant(
        name="worker-inherits-the-environment",
        rules="Kernel fence",
        removed="The process that runs a strategy gets the node's environment.",
        harm="Timers are not inherited: a child with the keys could send when the node is fenced.",
        edits=(
            Edit(
                "strategy/worker.py",
                "env=worker_environment(),",
                "env={**__import__('os').environ, **worker_environment()},",
            ),
        ),
        proof=ByTests(tests=("tests/strategy/test_worker_confined.py",)),
    ),
)

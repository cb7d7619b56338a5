"""What was added to the rules since: configuration, waits, fingerprints, journal, latches."""

from tests.broken.variant import ByTests, Variant
from tests.support.edited import Edit

CONFIG = "node/config_rules.py"
FINGERPRINT = "strategy/fingerprint.py"

_CONFIG = ByTests(tests=("tests/node/test_config.py",))
_FINGERPRINT = ByTests(tests=("tests/strategy/test_fingerprint.py",))
_PATH = ByTests(tests=("tests/exchange/test_orders.py",))
_LOGIN = ByTests(tests=("tests/election/test_redis_login.py",), needs_server=True)
_LATCHES = ByTests(tests=("tests/node/test_latches.py",))
_JOURNAL = ByTests(tests=("tests/exchange/test_journal.py",))

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
    Variant(
        name="write-outlasts-the-guard",
        rules="Kernel fence",
        removed="A write may take longer than the guard between the gate and the fence.",
        harm="A request that left with the last of the permit is still open when the kernel kills "
        "the process: each such end leaves an order of unknown outcome.",
        edits=(
            Edit(
                CONFIG,
                "if parts.venue.write_timeout_ms > lease.guard_ms:",
                "if parts.venue.write_timeout_ms <= 0:",
            ),
        ),
        proof=_CONFIG,
    ),
    Variant(
        name="waits-outlast-the-hang-limit",
        rules="R8",
        removed="Waits of the work loop may be longer than the hang limit.",
        harm="An exchange that is slow to answer looks like a hang: the lease moves for nothing.",
        edits=(Edit(CONFIG, "if value_ms >= lease.hang_limit_ms:", "if value_ms < 0:"),),
        proof=_CONFIG,
    ),
    Variant(
        name="failed-call-is-no-progress",
        rules="R8",
        removed="A call that the venue refused, or that timed out, does not count as a step done.",
        harm="A venue that is down makes the work loop look hung: renewals stop, both nodes are "
        "killed in turn by their fences.",
        edits=(
            Edit(
                "exchange/retry.py",
                "tools.on_step(label)  # a call that failed in time is progress as well",
                "pass",
            ),
        ),
        proof=ByTests(tests=("tests/exchange/test_reader_retry.py",)),
    ),
    Variant(
        name="active-loads-every-market",
        rules="R8",
        removed="A look at one symbol's rules loads all configured markets anew.",
        harm="On a Nano that blocks the event loop for seconds, while it leads.",
        edits=(
            Edit(
                "exchange/reader.py",
                "await self._load_markets((symbol,), RULES_AGE_S)",
                "await self._load_markets(self._settings.symbols, RULES_AGE_S)",
            ),
        ),
        proof=ByTests(tests=("tests/exchange/test_reader_markets.py",)),
    ),
    Variant(
        name="short-permit-new-risk",
        rules="R9",
        removed="New risk needs no more permit than a cancel.",
        harm="An order leaves with too little time to be answered: its outcome is unknown, and its "
        "symbol blocked, at the very end of a grant.",
        edits=(
            Edit(
                "exchange/orders.py",
                "needed_s = self._timing.needed_softer_s if is_softer else self._timing.needed_s",
                "needed_s = self._timing.needed_softer_s",
            ),
        ),
        proof=_PATH,
    ),
    Variant(
        name="source-of-replicas-accepted",
        rules="R2, R12, H8, pitfall 16",
        removed="A server that has replicas may keep the lease.",
        harm="Its replica is promoted by hand or by a tool: two servers, two leases.",
        edits=(
            Edit(
                "election/redis_info.py",
                'info.get("connected_slaves", "0") != "0"',
                'info.get("connected_slaves", "0") == "no"',
            ),
        ),
        proof=_LOGIN,
    ),
    Variant(
        name="sentinel-accepted",
        rules="R2, R12, H8",
        removed="A Sentinel is taken for a server.",
        harm="None for who leads (its answers are no records); a person who typed its port is not "
        "told what to type instead.",
        edits=(
            Edit(
                "election/redis_info.py",
                'info.get("redis_mode") == "sentinel"',
                'info.get("redis_mode") == "no"',
            ),
        ),
        proof=_LOGIN,
    ),
    Variant(
        name="cluster-begins-again",
        rules="Journal and latches",
        removed='A card that says "new cluster" begins one although records are found.',
        harm="A pause, or a loss limit, is lifted by whoever puts such a card in.",
        edits=(
            Edit(
                "node/latches.py",
                "is_first_start_allowed and not any(kind not in NO_LATCHES for kind in merged)",
                "is_first_start_allowed",
            ),
        ),
        proof=_LATCHES,
    ),
    Variant(
        name="trimmed-intent-comes-back",
        rules="Journal",
        removed="An intent that was closed while a store was away counts again when it returns.",
        harm="An order that is long done is unclear once more: its symbol is blocked, its fill "
        "counted a second time.",
        edits=(
            Edit(
                "exchange/journal.py",
                "if entry is not None and _was_trimmed(record, entry):",
                "if entry is not None and not record.client_order_id:",
            ),
        ),
        proof=_JOURNAL,
    ),
    Variant(
        name="closed-intents-stay",
        rules="Journal",
        removed="Closed intents are not deleted from the stores.",
        harm="The journal grows until the store refuses writes, those of the lease among them.",
        edits=(
            Edit(
                "exchange/journal.py",
                '        deletes = [f"{INTENT}{r.client_order_id}" for r in trimmed]\n',
                "        deletes: list[str] = []\n",
            ),
        ),
        proof=_JOURNAL,
    ),
    Variant(
        name="fence-kill-unsaid",
        rules="Kernel fence",
        removed="The next start does not say that the kernel fence ended the process before.",
        harm="A box that freezes now and then looks like one that crashes: its owner seeks a bug.",
        edits=(Edit("node/crashes.py", "    if death.was_fenced:\n", "    if death.code == 0:\n"),),
        proof=ByTests(tests=("tests/node/test_crashes.py",)),
    ),
    Variant(
        name="standby-risk-untold",
        rules="H14",
        removed="Nobody is told that the only store is on the standby's box, unless he knows it.",
        harm="The owner learns that the Pi's death stops trading in the night in which it dies.",
        edits=(
            Edit(
                "node/topology.py",
                "if config.cluster.accept_standby_risk:",
                "if not config.cluster.accept_standby_risk:",
            ),
        ),
        proof=_CONFIG,
    ),
)

"""Lease rules that live outside election's decisions: identity, servers, the gateway's stamp."""

from tests.broken.variant import ByTests, Variant
from tests.support.edited import Edit

TICKET = "exchange/ccxt_ticket.py"

VARIANTS = (
    Variant(
        name="duplicate-by-presence",
        rules="R1",
        removed="A foreign heartbeat with my node id refuses my start although it stands still.",
        harm="A node that systemd restarts finds the last beat of its own predecessor and refuses "
        "to start: the cluster has no spare any more.",
        edits=(
            Edit(
                "node/cluster_watch.py",
                "return first.nonce == last.nonce and last.beat > first.beat",
                "return first.nonce == last.nonce",
            ),
        ),
        proof=ByTests(tests=("tests/node/test_cluster_watch.py",)),
    ),
    Variant(
        name="replica-accepted",
        rules="R2, R12, H8, pitfalls 15 to 17",
        removed="A replica may keep the lease.",
        harm="With Sentinel: A renews on the old master while B acquires on the promoted one.",
        edits=(Edit("election/lua/prelude.lua", "if role ~= 'master' then", "if role == '' then"),),
        proof=ByTests(
            tests=("tests/election/test_lua_lease.py", "-k", "replica"), needs_server=True
        ),
    ),
    Variant(
        name="gateway-stamp-ahead",
        rules="R9, H12",
        removed="The gateway stamps with the latest time that the venue may have.",
        harm="The stamp is ahead by the error of the estimate, and the window reaches past the "
        "permit by as much.",
        edits=(
            Edit(
                TICKET,
                "now_ms = int(known.earliest_ms)",
                "now_ms = int(known.earliest_ms + known.error_ms)",
            ),
        ),
        proof=ByTests(tests=("tests/exchange/test_gateway.py", "-k", "earliest")),
    ),
    Variant(
        name="gateway-checks-before-signing-only",
        rules="R9, H11",
        removed="The permit is not asked again in the last hop.",
        harm="Throttling and signing took their time; the request leaves after the gate closed.",
        edits=(
            Edit(
                TICKET,
                "        if timeout_s < TIMEOUT_S_MIN:\n"
                '            raise CallRefused("the permit ended before the request left")\n',
                "",
            ),
            Edit(
                TICKET,
                "if not self._permit.begin_write(epoch=self._epoch, needed_s=timeout_s):",
                "if not self._permit.begin_write(epoch=self._epoch, needed_s=timeout_s) and (\n"
                "            timeout_s > TIMEOUT_S_MIN\n        ):",
            ),
        ),
        proof=ByTests(tests=("tests/exchange/test_gateway_permit.py", "-k", "last_hop")),
    ),
    Variant(
        name="stamp-follows-one-clock",
        rules="R0, R9, H12, pitfall 5",
        removed="The venue's time is carried on by the faster of the two clocks.",
        harm="NTP hurries the system clock: the stamp runs ahead of the venue.",
        edits=(
            Edit(
                "exchange/clock_offset.py",
                "sample.venue_ms + least_s * 1000 * _SLOWEST",
                "sample.venue_ms + age_s * 1000 * _SLOWEST",
            ),
        ),
        proof=ByTests(tests=("tests/exchange/test_clock_offset.py",)),
    ),
    Variant(
        name="two-stores-accepted",
        rules="R2, R13, H13, H14",
        removed="Any number of stores is taken.",
        harm="Two stores are worse than one: either one's death stops trading. (Where a single "
        "store lives is no rule of the protocol; `nodectl config check` says which box's death "
        "stops trading.)",
        edits=(
            Edit(
                "election/observed.py",
                "if len(names) not in (1, 3) or len(set(names)) != len(names):",
                "if len(set(names)) != len(names):",
            ),
        ),
        proof=ByTests(tests=("tests/election/test_observation.py",)),
    ),
)

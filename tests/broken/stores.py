"""R3 and R4 broken: what a store compares before it writes.

The simulation's stores are `MemoryStore`s; the same checks in `election/lua` are removed one at a
time by `scripts.py` and missed by the contract tests on a real server.
"""

from tests.broken.variant import ByTests, InWeather, Variant
from tests.support.edited import Edit

MEMORY = "election/memory_store.py"
_RENEW = (
    "            if refused is not None:\n"
    "                return refused\n"
    "            if not self._is_mine(identity, epoch):\n"
    "                return self._reply(Refusal.NOT_MINE)\n"
    "            return self._hold("
)
_RELEASE = (
    "            if refused is not None:\n"
    "                return refused\n"
    "            if not self._is_mine(identity, epoch):\n"
    "                return self._reply(Refusal.NOT_MINE)\n"
    "            self._record = replace("
)
_COMPARE = (
    "            refused = self._read(identity, new_wid) or self._compare(expected_inc, None)\n"
)
_ACQUIRE = (
    "            if refused is not None:\n"
    "                return refused\n"
    "            if epoch <= self._now.max_epoch:\n"
)
_CAS = (
    "            refused = self._read(identity, new_wid) or "
    "self._compare(expected_inc, expected_wid)\n"
)
_REASSERT = (
    "            if refused is not None:\n"
    "                return refused\n"
    "            is_held = self._now.state is LeaseState.HELD\n"
)


def _no_inc(call: str) -> str:
    return call.replace("expected_inc", "self._inc")


def _no_wid(call: str) -> str:
    return call.replace("expected_wid", "None")


CONTRACT = ByTests(tests=("tests/election/test_store_contract.py", "-k", "memory"))

VARIANTS = (
    Variant(
        name="release-of-another-life",
        rules="R4, H5, pitfall 23",
        removed="A release does not name the life of the store that it believes in.",
        harm='A released epoch 4, B took epoch 5; the store falls back to "A holds 4"; a late '
        "copy of A's release arrives and frees it in the new life; somebody takes it at once "
        "while B trades.",
        edits=(Edit(MEMORY, _COMPARE + _RELEASE, _no_inc(_COMPARE) + _RELEASE),),
        proof=InWeather(setup="late", stores=1, seed=379, within=1000, shows="two open gates"),
    ),
    Variant(
        name="renewal-of-another-life",
        rules="R4, H5, pitfall 23",
        removed="A renewal does not name the life of the store that it believes in.",
        harm="None for who leads: process and epoch are compared too. But a renewal that comes "
        "late lets the record claim a life in which its holder never looked: the journal there "
        "takes documents again before the forgotten ones are back, and contenders wait a ttl more.",
        edits=(Edit(MEMORY, _COMPARE + _RENEW, _no_inc(_COMPARE) + _RENEW),),
        proof=CONTRACT,
    ),
    Variant(
        name="acquisition-of-another-life",
        rules="R4",
        removed="An acquisition does not name the life of the store that it believes in.",
        harm="The contender saw a released record and asked; meanwhile another was granted, "
        "and the store fell back to the released record it had seen: write id and state "
        "fit, only the life does not.",
        edits=(Edit(MEMORY, _CAS + _ACQUIRE, _no_inc(_CAS) + _ACQUIRE),),
        proof=InWeather(setup="fallbacks", stores=1, seed=44, within=500, shows="two open gates"),
    ),
    Variant(
        name="acquisition-without-write-id",
        rules="R4, pitfall 13",
        removed="An acquisition does not compare what the contender has seen.",
        harm="It was sent when the record looked abandoned and arrives when the holder has "
        "renewed: the live lease is taken.",
        edits=(Edit(MEMORY, _CAS + _ACQUIRE, _no_wid(_CAS) + _ACQUIRE),),
        proof=InWeather(setup="tight", stores=1, seed=245, within=1000, shows="two open gates"),
    ),
    Variant(
        name="acquisition-of-any-epoch",
        rules="R4, R7",
        removed="A store grants an epoch that is not above every one it has known.",
        harm="A contender compares by itself and would not ask; a node with a lost disk, an "
        "older program or a bug would be granted an epoch that orders at the venue "
        "already bear.",
        edits=(
            Edit(
                MEMORY,
                "            if epoch <= self._now.max_epoch:\n",
                "            if epoch < 0:\n",
            ),
        ),
        proof=CONTRACT,
    ),
    Variant(
        name="release-of-any-epoch",
        rules="R4, R10",
        removed="A release does not compare the epoch.",
        harm="A released epoch 4 and was granted epoch 6 later: the late copy of the first release "
        "frees the lease that it is using.",
        edits=(
            Edit(
                MEMORY,
                _COMPARE + _RELEASE,
                _COMPARE + _RELEASE.replace("identity, epoch", "identity, self._now.epoch"),
            ),
        ),
        proof=InWeather(setup="late", stores=1, seed=281, within=1000, shows="two open gates"),
    ),
    Variant(
        name="release-by-anybody",
        rules="R4, R10",
        removed="A release compares neither process nor epoch.",
        harm="A release that comes late frees the lease of the node that leads now.",
        edits=(
            Edit(
                MEMORY,
                _COMPARE + _RELEASE,
                _COMPARE + _RELEASE.replace("not self._is_mine(identity, epoch)", "epoch < 0"),
            ),
        ),
        proof=InWeather(setup="late", stores=1, seed=53, within=500, shows="two open gates"),
    ),
    Variant(
        name="renewal-by-anybody",
        rules="R4, R8, pitfall 13",
        removed="A renewal compares neither process nor epoch.",
        harm="A holder that was cut off and overtaken writes itself back over the next holder.",
        edits=(
            Edit(
                MEMORY,
                _COMPARE + _RENEW,
                _COMPARE + _RENEW.replace("not self._is_mine(identity, epoch)", "epoch < 0"),
            ),
        ),
        proof=CONTRACT,
    ),
    Variant(
        name="renewal-of-released",
        rules="R4, R10",
        removed="A renewal is taken although the record was released.",
        harm="A late renewal undoes the release: the next holder waits a whole ttl for nobody.",
        edits=(
            Edit(
                MEMORY,
                _COMPARE + _RENEW,
                _COMPARE
                + _RENEW.replace(
                    "not self._is_mine(identity, epoch)",
                    "(self._now.nonce, self._now.epoch) != (identity.nonce, epoch)",
                ),
            ),
        ),
        proof=CONTRACT,
    ),
    Variant(
        name="reassertion-without-write-id",
        rules="R4, R8",
        removed="A re-assertion does not compare what the holder has seen.",
        harm="A late re-assertion writes over a release or a tombstone that others are already "
        "waiting on: their timers start anew, and a holder that is gone stands in the "
        "record.",
        edits=(Edit(MEMORY, _CAS + _REASSERT, _no_wid(_CAS) + _REASSERT),),
        proof=CONTRACT,
    ),
    Variant(
        name="reassertion-in-another-life",
        rules="R4, R8",
        removed="A re-assertion does not name the life of the store that it believes in.",
        harm="The same, after the store began another life: the record claims a life in which "
        "its holder never looked.",
        edits=(Edit(MEMORY, _CAS + _REASSERT, _no_inc(_CAS) + _REASSERT),),
        proof=CONTRACT,
    ),
    Variant(
        name="reassertion-over-a-later-epoch",
        rules="R4, R8",
        removed="A re-assertion is taken over a record that is held under a later epoch.",
        harm="A holder that was overtaken writes itself back over the next one, which must "
        "repair its record and may lose its lease over it.",
        edits=(
            Edit(
                MEMORY,
                "            if is_held and self._now.epoch > epoch:\n",
                "            if is_held and epoch < 0:\n",
            ),
        ),
        proof=CONTRACT,
    ),
    Variant(
        name="reassertion-over-own-release",
        rules="R4, R10",
        removed="A re-assertion is taken over the holder's own release.",
        harm="A re-assertion that was under way undoes the release: the next holder waits a "
        "whole ttl for nobody.",
        edits=(
            Edit(
                MEMORY,
                "            if self._now.epoch == epoch and is_held != is_own:\n",
                "            if self._now.epoch == epoch and is_held and not is_own:\n",
            ),
        ),
        proof=CONTRACT,
    ),
    Variant(
        name="other-configuration-written",
        rules="R3",
        removed="A store takes writes under another list of stores.",
        harm="After a store was replaced on one box only, the boxes have different majorities, "
        "which may be disjoint: each leads on its own.",
        edits=(
            Edit(
                MEMORY,
                "        if self._record.config_id != identity.config_id:\n"
                "            return self._reply(Refusal.OTHER_CONFIG)\n",
                "",
            ),
        ),
        proof=CONTRACT,
    ),
    Variant(
        name="other-cluster-written",
        rules="R3, R11",
        removed="A store takes writes of another cluster.",
        harm="Two clusters that share a server, or a test node with the production's address, "
        "depose each other.",
        edits=(
            Edit(
                MEMORY,
                "        if self._record.cluster_id != identity.cluster_id:\n"
                "            return self._reply(Refusal.FOREIGN_CLUSTER)\n",
                "",
            ),
            Edit(
                "election/lua/prelude.lua",
                "if record.cluster_id ~= cluster_id then",
                "if false then",
            ),
        ),
        proof=ByTests(
            tests=("tests/election/test_lua_lease.py", "-k", "another_cluster"), needs_server=True
        ),
    ),
)

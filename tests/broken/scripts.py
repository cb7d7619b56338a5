"""Each check of the Lua scripts removed: a test against a real server must notice.

Rules of this file: one entry a check, in the order of the scripts. The edit removes exactly one
comparison; `tests` are arguments of pytest.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.support.edited import Edit

LUA = "election/lua"
CONTRACT = ("tests/election/test_store_contract.py", "-k", "not memory")
LEASE = ("tests/election/test_lua_lease.py",)
LEDGER = ("tests/election/test_ledger.py",)
CONTROL = ("tests/election/test_control.py",)
MEMBERS = ("tests/election/test_members.py",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check of one script, and who misses it."""

    edit: Edit
    tests: tuple[str, ...]


def _check(script: str, old: str, new: str, tests: tuple[str, ...]) -> Check:
    return Check(edit=Edit(f"{LUA}/{script}.lua", old, new), tests=tests)


CHECKS: Mapping[str, Check] = {
    # --- prelude: what counts as a record, and whose it is ---
    "a replica": _check("prelude", "if role ~= 'master' then", "if false then", LEASE),
    "a key of another type": _check("prelude", "if kind ~= 'hash' then", "if false then", LEASE),
    "a hash far too large": _check(
        "prelude", "if redis.call('HLEN', key) > FIELDS_MAX then", "if false then", LEASE
    ),
    "a later version": _check(
        "prelude", "if record.version ~= VERSION then", "if false then", LEASE
    ),
    "a missing field": _check("prelude", "if record[field] == nil then", "if false then", LEASE),
    "a number in words": _check(
        "prelude", "if not is_count(record[field]) then", "if false then", LEASE
    ),
    "a number beyond exactness": _check(
        "prelude", "and #text <= 16 and tonumber(text) < 9007199254740992", "", LEASE
    ),
    "an unknown state": _check(
        "prelude", "if not STATES[record.state] then", "if false then", LEASE
    ),
    "a foreign cluster": _check(
        "prelude", "if record.cluster_id ~= cluster_id then", "if false then", LEASE
    ),
    "another configuration": _check(
        "prelude", "if record.config_id ~= config_id then", "if false then", CONTRACT
    ),
    "tombstones of one write id (H4)": _check(
        "prelude",
        "ttl_ms = '0', wid = wid, inc = inc",
        "ttl_ms = '0', wid = 'v', inc = inc",
        CONTRACT,
    ),
    "held: the state": _check(
        "prelude",
        "return record.state == 'held' and record.nonce == nonce",
        "return record.nonce == nonce",
        CONTRACT,
    ),
    "held: the process (H10)": _check(
        "prelude",
        "return record.state == 'held' and record.nonce == nonce",
        "return record.state == 'held'",
        CONTRACT,
    ),
    "held: the epoch": _check(
        "prelude", "    and tonumber(record.epoch) == tonumber(epoch)", "", CONTRACT
    ),
    # --- the lease scripts ---
    "acquire: incarnation (H2)": _check(
        "acquire", "if inc ~= ARGV[4] then", "if false then", CONTRACT
    ),
    "acquire: write id": _check(
        "acquire", "if record.wid ~= ARGV[5] then", "if false then", CONTRACT
    ),
    "acquire: epoch": _check(
        "acquire", "tonumber(ARGV[8]) <= tonumber(record.max_epoch)", "false", CONTRACT
    ),
    "renew: incarnation (H5)": _check("renew", "if inc ~= ARGV[4] then", "if false then", CONTRACT),
    "renew: whose": _check(
        "renew", "if not is_held_by(record, ARGV[5], ARGV[6]) then", "if false then", CONTRACT
    ),
    "reassert: incarnation": _check(
        "reassert", "if inc ~= ARGV[4] then", "if false then", CONTRACT
    ),
    "reassert: write id": _check(
        "reassert", "if record.wid ~= ARGV[5] then", "if false then", CONTRACT
    ),
    "reassert: later epoch": _check(
        "reassert", "(is_held and tonumber(record.epoch) > tonumber(ARGV[8]))", "false", CONTRACT
    ),
    "reassert: own release, or another's": _check(
        "reassert", "is_held ~= (record.nonce == ARGV[7])", "false", CONTRACT
    ),
    "reassert: max_epoch never falls": _check(
        "reassert",
        "if tonumber(record.max_epoch) < tonumber(ARGV[8]) then",
        "if true then",
        CONTRACT,
    ),
    "release: incarnation (H5)": _check(
        "release", "if inc ~= ARGV[4] then", "if false then", CONTRACT
    ),
    "release: whose": _check(
        "release", "if not is_held_by(record, ARGV[5], ARGV[6]) then", "if false then", CONTRACT
    ),
    # --- what the lease fences ---
    "ledger: no lease record": _check(
        "ledger_write",
        "if not record then\n  return",
        "if not record then\n  record = {cluster_id = ARGV[1], config_id = ARGV[2], inc = inc,"
        " state = 'held', nonce = ARGV[4], epoch = ARGV[5], node_id = ''}\nend\n"
        "if false then\n  return",
        LEDGER,
    ),
    "ledger: foreign cluster": _check(
        "ledger_write", "if record.cluster_id ~= ARGV[1] then", "if false then", LEDGER
    ),
    "ledger: another configuration": _check(
        "ledger_write", "if record.config_id ~= ARGV[2] then", "if false then", LEDGER
    ),
    "ledger: incarnation": _check(
        "ledger_write", "if inc ~= ARGV[3] then", "if false then", LEDGER
    ),
    "ledger: lease not put back since": _check(
        "ledger_write", "if record.inc ~= inc then", "if false then", LEDGER
    ),
    "ledger: whose": _check(
        "ledger_write", "if not is_held_by(record, ARGV[4], ARGV[5]) then", "if false then", LEDGER
    ),
    "ledger: limit of bytes": _check(
        "ledger_write",
        "if total > tonumber(ARGV[6]) and total > used then",
        "if false then",
        LEDGER,
    ),
    "ledger: key of another type": _check(
        "ledger_write", "if kind ~= 'none' and kind ~= 'hash' then", "if false then", LEDGER
    ),
    "members: a replica": _check("member_publish", "if not inc then", "if false then", MEMBERS),
    "members: a full board": _check(
        "member_publish", "redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[5])", "false", MEMBERS
    ),
    "members: key of another type": _check(
        "member_publish", "if kind ~= 'none' and kind ~= 'hash' then", "if false then", MEMBERS
    ),
}

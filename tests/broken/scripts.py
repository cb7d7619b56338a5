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
MOVE = ("tests/election/test_lua_move.py",)


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
    "acquire: an epoch that is no count": _check("acquire", "not is_count(ARGV[8]) or ", "", LEASE),
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
    "reassert: an epoch that is no count": _check(
        "reassert", "not is_count(ARGV[8]) or ", "", LEASE
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
    # --- moving to another list of stores ---
    "move: incarnation": _check("move", "if inc ~= ARGV[4] then", "if false then", MOVE),
    "move: write id": _check("move", "if record.wid ~= ARGV[5] then", "if false then", MOVE),
    "move: a lease that is held": _check(
        "move", "if record.state == 'held' and ARGV[8] ~= '1' then", "if false then", MOVE
    ),
    "move: an epoch that is no count": _check(
        "move", "if not is_count(ARGV[7]) then", "if false then", MOVE
    ),
    "move: max_epoch never falls": _check(
        "move",
        "math.max(tonumber(record.max_epoch), tonumber(ARGV[7]))",
        "tonumber(ARGV[7])",
        MOVE,
    ),
    "move: max_epoch of the other stores": _check(
        "move",
        "math.max(tonumber(record.max_epoch), tonumber(ARGV[7]))",
        "tonumber(record.max_epoch)",
        MOVE,
    ),
    "carry: a lease that is not void": _check(
        "ledger_carry", "if record.state ~= 'void' then", "if false then", MOVE
    ),
    "carry: key of another type": _check(
        "ledger_carry", "if kind ~= 'none' and kind ~= 'hash' then", "if false then", MOVE
    ),
    "carry: limit of bytes": _check(
        "ledger_carry", "if total > tonumber(ARGV[3]) then", "if false then", MOVE
    ),
    "carry: what is as new stays": _check(
        "ledger_carry", "is_newer(ARGV[i + 1], kept)", "true", MOVE
    ),
    "carry: what is older does not stay": _check(
        "ledger_carry", " or is_newer(ARGV[i + 1], kept)", "", MOVE
    ),
    "carry: epoch before seq": _check(
        "ledger_carry", "if epoch == kept_epoch then", "if true then", MOVE
    ),
    "carry: the count of bytes is made anew": _check(
        "ledger_carry", "redis.call('HDEL', KEYS[2], '_bytes')\n", "", MOVE
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
    "ledger: the order of one process's writes": _check(
        "ledger_write",
        "if writer == ARGV[4] and tonumber(ARGV[7])",
        "if false and tonumber(ARGV[7])",
        LEDGER,
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
    # --- control records: not fenced, ordered by version ---
    "control: a replica": _check("control_put", "if not inc then", "if false then", CONTROL),
    "control: key of another type": _check(
        "control_put", "if kind ~= 'none' and kind ~= 'hash' then", "if false then", CONTROL
    ),
    "control: a record without a version": _check(
        "control_put", "if type(version) ~= 'number' then", "if false then", CONTROL
    ),
    "control: the same once more": _check(
        "control_put", "if text == ARGV[3] then", "if false then", CONTROL
    ),
    "control: an older version": _check(
        "control_put", "version >= tonumber(ARGV[2])", "version == tonumber(ARGV[2])", CONTROL
    ),
    "control: another text of the same version": _check(
        "control_put", "version >= tonumber(ARGV[2])", "version > tonumber(ARGV[2])", CONTROL
    ),
    "control: too many kinds": _check(
        "control_put", "redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[4])", "false", CONTROL
    ),
    "members: a replica": _check("member_publish", "if not inc then", "if false then", MEMBERS),
    "members: a full board": _check(
        "member_publish", "redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[5])", "false", MEMBERS
    ),
    "members: a full board keeps its own": _check(
        "member_publish", "if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0\n  and ", "if ", MEMBERS
    ),
    "members: key of another type": _check(
        "member_publish", "if kind ~= 'none' and kind ~= 'hash' then", "if false then", MEMBERS
    ),
}

# What asks something in a script and is no check of its own, each with the reason.
NO_CHECKS: Mapping[str, str] = {
    "if refused then": "hands on what the prelude refused",
    "if redis.replicate_commands then": "a server from 5.0 on does that anyway",
    "if not run_id or not replid then": "no server of R2 has an INFO without them",
    "if kind == 'none' then": "a missing record is none, and no error",
    "if record then": "a reply without a record has no fields",
    "if problem then": "hands on what the prelude found; a record that is none is refused anyway",
    "if not record then": "a missing record becomes a tombstone (ledger: 'no lease record')",
    "if not inc then": "hands on what the prelude found (where it writes: 'a replica')",
    "if text then": "nothing to compare with a record that is not there",
    "if kept and is_count(kept) then": "saves counting anew",
    "if is_json and type(document) == 'table' and type(document.epoch) == 'number'": (
        "keeps a text that is no document from ending the script; it is older than every one"
    ),
    "if not kept or is_newer(ARGV[i + 1], kept) then": (
        "both halves have their entries: 'what is as new stays', 'what is older does not stay'"
    ),
    "if flat[i] ~= BYTES and flat[i] ~= LAST then": "a sum: neither is a document",
    "if redis.call('HEXISTS', key, field) == 0 then": "a sum: nothing is freed by nothing",
}

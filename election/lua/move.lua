-- move: give the record another store list (config id); who used the old one is refused from then.
--
-- KEYS     1 lease record
-- ARGV     1 cluster id, 2 config id that is expected, 3 new wid, 4 expected inc, 5 expected wid,
--          6 config id to write, 7 max_epoch at least, 8 '1' when a held record was seen unchanged
--          for a whole ttl (R6), else '0'
-- Returns  {refusal, inc, detail, {field, value, ...}}
-- Writes   state=void under the config id of ARGV[6], max_epoch kept or raised
-- Invariant: compare-and-set on incarnation and wid, and a lease that is held is not taken away:
-- whoever moves has seen it released, or silent for as long as any contender must. max_epoch never
-- falls, so no epoch is granted twice across the move.

local inc, record, refused = open_lease(KEYS[1], ARGV[1], ARGV[2], ARGV[3])
if refused then
  return refused
end
if inc ~= ARGV[4] then
  return answer('incarnation', inc, 'the server began another life', record)
end
if record.wid ~= ARGV[5] then
  return answer('changed', inc, 'somebody wrote since it was read', record)
end
if record.state == 'held' and ARGV[8] ~= '1' then
  return answer('not_mine', inc, record.node_id .. ' holds the lease here', record)
end
if not is_count(ARGV[7]) then
  return answer('epoch', inc, 'epoch ' .. ARGV[7] .. ' is no whole number', record)
end
local highest = math.max(tonumber(record.max_epoch), tonumber(ARGV[7]))
record.config_id = ARGV[6]
record.node_id = ''
record.nonce = ''
record.epoch = '0'
record.max_epoch = string.format('%.0f', highest)
record.state = 'void'
record.wid = ARGV[3]
record.inc = inc
record.drain_ms = '0'
record.reserved_for = ''
record.reason = 'store list changed'
record.label = ''
record.written_us = now_us()
put_record(KEYS[1], record)
return answer('none', inc, '', record)

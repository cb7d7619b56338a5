-- reassert: the holder puts its epoch back after the server restarted or lost data (R8, R11).
--
-- KEYS     1 lease record
-- ARGV     1 cluster id, 2 config id, 3 new wid, 4 expected inc, 5 expected wid, 6 node id,
--          7 nonce, 8 epoch, 9 ttl_ms, 10 label
-- Returns  {refusal, inc, detail, {field, value, ...}}
-- Writes   state=held under the same epoch, max_epoch kept or raised; a tombstone when it is
--          missing
-- Invariant: compare-and-set on incarnation and wid; never over a record held under a higher
-- epoch or by another process under the same one, nor over the holder's own release (R10). A
-- released attempt of another process, under the same epoch or a higher one, is written over: it
-- never was a grant while this holder's validity runs.
-- That its validity still runs is the holder's knowledge, from its own clock.

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
local is_held = record.state == 'held'
if not is_count(ARGV[8]) or (is_held and tonumber(record.epoch) > tonumber(ARGV[8])) then
  return answer('epoch', inc, 'epoch ' .. ARGV[8] .. ' is below ' .. record.epoch, record)
end
if tonumber(record.epoch) == tonumber(ARGV[8]) and is_held ~= (record.nonce == ARGV[7]) then
  return answer('not_mine', inc, 'epoch ' .. ARGV[8] .. ' was released or is of another', record)
end
record.node_id = ARGV[6]
record.nonce = ARGV[7]
record.epoch = ARGV[8]
if tonumber(record.max_epoch) < tonumber(ARGV[8]) then
  record.max_epoch = ARGV[8]
end
record.state = 'held'
record.ttl_ms = ARGV[9]
record.wid = ARGV[3]
record.inc = inc
record.drain_ms = '0'
record.reserved_for = ''
record.reason = 'reassert'
record.label = ARGV[10]
record.written_us = now_us()
put_record(KEYS[1], record)
return answer('none', inc, '', record)

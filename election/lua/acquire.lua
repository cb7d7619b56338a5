-- acquire: take the lease for a new epoch, compare-and-set on incarnation and wid (R4, R7).
--
-- KEYS     1 lease record
-- ARGV     1 cluster id, 2 config id, 3 new wid, 4 expected inc, 5 expected wid, 6 node id,
--          7 nonce, 8 epoch, 9 ttl_ms, 10 reason, 11 label
-- Returns  {refusal, inc, detail, {field, value, ...}}
-- Writes   state=held, epoch = max_epoch = ARGV[8]; a tombstone when the record is missing
-- Invariant: nobody wrote since the caller looked, in the same life of the server, and the epoch
-- is above every epoch that this record has known. Whether the record was takeable (R6) is the
-- contender's knowledge, from its own clock.

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
if not is_count(ARGV[8]) or tonumber(ARGV[8]) <= tonumber(record.max_epoch) then
  return answer('epoch', inc, 'epoch ' .. ARGV[8] .. ' is not above ' .. record.max_epoch, record)
end
record.node_id = ARGV[6]
record.nonce = ARGV[7]
record.epoch = ARGV[8]
record.max_epoch = ARGV[8]
record.state = 'held'
record.ttl_ms = ARGV[9]
record.wid = ARGV[3]
record.inc = inc
record.drain_ms = '0'
record.reserved_for = ''
record.reason = ARGV[10]
record.label = ARGV[11]
record.written_us = now_us()
put_record(KEYS[1], record)
return answer('none', inc, '', record)

-- release: the holder gives the lease away (R10).
--
-- KEYS     1 lease record
-- ARGV     1 cluster id, 2 config id, 3 new wid, 4 expected inc, 5 nonce, 6 epoch, 7 drain_ms,
--          8 reserved_for, 9 reason
-- Returns  {refusal, inc, detail, {field, value, ...}}
-- Writes   state=released, drain_ms, reserved_for, reason; a tombstone when the record is missing
-- Invariant: only its own grant, and only in the life of the server in which the caller believes:
-- a late release that arrives after a rollback must not free what another holds (H5).

local inc, record, refused = open_lease(KEYS[1], ARGV[1], ARGV[2], ARGV[3])
if refused then
  return refused
end
if inc ~= ARGV[4] then
  return answer('incarnation', inc, 'the server began another life', record)
end
if not is_held_by(record, ARGV[5], ARGV[6]) then
  return answer('not_mine', inc, 'it is not held by this process in epoch ' .. ARGV[6], record)
end
record.state = 'released'
record.wid = ARGV[3]
record.inc = inc
record.drain_ms = ARGV[7]
record.reserved_for = ARGV[8]
record.reason = ARGV[9]
record.written_us = now_us()
put_record(KEYS[1], record)
return answer('none', inc, '', record)

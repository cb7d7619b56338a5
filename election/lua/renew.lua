-- renew: the holder says that it is there, by writing a fresh wid (R8).
--
-- KEYS     1 lease record
-- ARGV     1 cluster id, 2 config id, 3 new wid, 4 expected inc, 5 nonce, 6 epoch, 7 ttl_ms
-- Returns  {refusal, inc, detail, {field, value, ...}}
-- Writes   wid, inc, ttl_ms, written_us; a tombstone when the record is missing
-- Invariant: only nonce, epoch and state=held are compared, not the wid: a renewal whose reply was
-- lost must not make the holder fail its own next one (H18). The incarnation is compared, so that
-- a late message cannot speak in a later life of the server (H5).

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
record.ttl_ms = ARGV[7]
record.wid = ARGV[3]
record.inc = inc
record.written_us = now_us()
put_record(KEYS[1], record)
return answer('none', inc, '', record)

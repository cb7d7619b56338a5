-- observe: read the lease record (R5).
--
-- KEYS     1 lease record
-- ARGV     1 cluster id, 2 config id, 3 new wid
-- Returns  {refusal, inc, detail, {field, value, ...}}
-- Writes   a void tombstone with the new wid when the record is missing, else nothing
-- Invariant: whoever observes has a key (inc, wid) to start its timer on; a missing record is
-- never "free".

local inc, record, refused = open_lease(KEYS[1], ARGV[1], ARGV[2], ARGV[3])
if refused then
  return refused
end
return answer('none', inc, '', record)

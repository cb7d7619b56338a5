-- ledger_carry: put journal documents into a store that the cluster begins to use.
--
-- KEYS     1 lease record, 2 ledger (hash: document key -> JSON text)
-- ARGV     1 cluster id, 2 config id, 3 limit in bytes, 4 wid for a tombstone, then key, text of
--          each document
-- Returns  {refusal, inc, detail, how many were written}; refusal also 'too_large'
-- Writes   documents that are not there yet, and drops the count of bytes (it is made anew)
-- Invariant: only while nobody holds the lease here: a holder's documents are never touched, and
-- none that is there is written over. Doing it twice is doing it once.

local inc, record, refused = open_lease(KEYS[1], ARGV[1], ARGV[2], ARGV[4])
if refused then
  return {refused[1], refused[2], refused[3], 0}
end
if record.state ~= 'void' then
  return {'not_mine', inc, 'the lease here is ' .. record.state .. ' by ' .. record.node_id, 0}
end
local kind = key_type(KEYS[2])
if kind ~= 'none' and kind ~= 'hash' then
  return {'unreadable', inc, 'the key ' .. KEYS[2] .. ' is a ' .. kind .. ', not a hash', 0}
end
local total = 0
for i = 5, #ARGV, 2 do
  total = total + #ARGV[i] + #ARGV[i + 1] + 64
end
if total > tonumber(ARGV[3]) then
  return {'too_large', inc, 'the documents take ' .. total .. ' bytes', 0}
end
local count = 0
for i = 5, #ARGV, 2 do
  count = count + redis.call('HSETNX', KEYS[2], ARGV[i], ARGV[i + 1])
end
redis.call('HDEL', KEYS[2], '_bytes')
return {'none', inc, '', count}

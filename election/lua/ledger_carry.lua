-- ledger_carry: put journal documents into a store that the cluster begins to use.
--
-- KEYS     1 lease record, 2 ledger (hash: document key -> JSON text)
-- ARGV     1 cluster id, 2 config id, 3 limit in bytes, 4 wid for a tombstone, then key, text of
--          each document
-- Returns  {refusal, inc, detail, how many were written}; refusal also 'too_large'
-- Writes   documents that are not there yet or newer than what is there, and drops the count of
--          bytes (it is made anew)
-- Invariant: only while nobody holds the lease here: a holder's documents are never touched. A
-- server that was used before keeps what it has only where that is as new: epoch, then seq, of
-- each document's envelope decide, as in every merge. Doing it twice is doing it once.

-- Epoch and seq of a document's writer; below every stamp where the text is no document.
local function stamp_of(text)
  local is_json, document = pcall(cjson.decode, text)
  if is_json and type(document) == 'table' and type(document.epoch) == 'number'
    and type(document.seq) == 'number' then
    return document.epoch, document.seq
  end
  return -1, -1
end

local function is_newer(text, kept)
  local epoch, seq = stamp_of(text)
  local kept_epoch, kept_seq = stamp_of(kept)
  if epoch == kept_epoch then
    return seq > kept_seq
  end
  return epoch > kept_epoch
end

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
  local kept = redis.call('HGET', KEYS[2], ARGV[i])
  if not kept or is_newer(ARGV[i + 1], kept) then
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
    count = count + 1
  end
end
redis.call('HDEL', KEYS[2], '_bytes')
return {'none', inc, '', count}

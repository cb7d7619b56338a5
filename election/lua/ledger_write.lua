-- ledger_write: put and delete journal documents, fenced by the lease record beside them.
--
-- KEYS     1 lease record, 2 ledger (hash: document key -> JSON text)
-- ARGV     1 cluster id, 2 config id, 3 expected inc, 4 nonce, 5 epoch, 6 limit in bytes,
--          7 number of this write in its process, 8 number of puts, then key, text for each put,
--          then the keys to delete
-- Returns  {refusal, inc, detail, bytes used}; refusal also 'too_large', 'late'
-- Writes   all puts and deletes, the count of bytes and who wrote last, or nothing
-- Invariant: whoever writes holds the lease in this very server, in this very life of it, and the
-- hash stays below the limit, because a full server (noeviction) would refuse the lease itself. The
-- writes of one process are taken in their order: one that timed out may arrive on its abandoned
-- connection after the next, and would put older documents over newer ones.

local BYTES = '_bytes' -- reserved field: size of the documents, kept so that no write reads them all
local LAST = '_last' -- reserved field: nonce and number of the last write, 'nonce number'
local ENTRY_BYTES = 64 -- what one field costs besides its text, roughly (dictEntry and two headers)

local function count_bytes(key)
  local kept = redis.call('HGET', key, BYTES)
  if kept and is_count(kept) then
    return tonumber(kept)
  end
  local total = 0
  local flat = redis.call('HGETALL', key)
  for i = 1, #flat, 2 do
    if flat[i] ~= BYTES and flat[i] ~= LAST then
      total = total + #flat[i] + #flat[i + 1] + ENTRY_BYTES
    end
  end
  return total
end

local function entry_bytes(key, field)
  if redis.call('HEXISTS', key, field) == 0 then
    return 0
  end
  return #field + redis.call('HSTRLEN', key, field) + ENTRY_BYTES
end

local inc, why = incarnation()
if not inc then
  return {'not_master', '', why, 0}
end
local record, problem = read_record(KEYS[1])
if problem then
  return {'unreadable', inc, problem, 0}
end
if not record then
  return {'not_mine', inc, 'there is no lease record here', 0}
end
if record.cluster_id ~= ARGV[1] then
  return {'foreign_cluster', inc, 'the lease belongs to cluster ' .. record.cluster_id, 0}
end
if record.config_id ~= ARGV[2] then
  return {'other_config', inc, 'the lease was written under config id ' .. record.config_id, 0}
end
if inc ~= ARGV[3] then
  return {'incarnation', inc, 'the server began another life', 0}
end
if record.inc ~= inc then
  return {'incarnation', inc, 'the lease was not put back since the server began another life', 0}
end
if not is_held_by(record, ARGV[4], ARGV[5]) then
  return {'not_mine', inc, 'the lease names ' .. record.node_id .. ' (' .. record.state
    .. ', epoch ' .. record.epoch .. '), not this process in epoch ' .. ARGV[5], 0}
end
local kind = key_type(KEYS[2])
if kind ~= 'none' and kind ~= 'hash' then
  return {'unreadable', inc, 'the key ' .. KEYS[2] .. ' is a ' .. kind .. ', not a hash', 0}
end

local writer, number = string.match(redis.call('HGET', KEYS[2], LAST) or '', '^(%S+) (%d+)$')
if writer == ARGV[4] and tonumber(ARGV[7]) <= tonumber(number) then
  return {'late', inc, 'write ' .. ARGV[7] .. ' came after write ' .. number, 0}
end

local used = count_bytes(KEYS[2])
local last_put = 8 + 2 * tonumber(ARGV[8])
local total = used
for i = 9, last_put, 2 do
  total = total - entry_bytes(KEYS[2], ARGV[i]) + #ARGV[i] + #ARGV[i + 1] + ENTRY_BYTES
end
for i = last_put + 1, #ARGV do
  total = total - entry_bytes(KEYS[2], ARGV[i])
end
total = math.max(total, 0)
if total > tonumber(ARGV[6]) and total > used then
  return {'too_large', inc, 'the documents would take ' .. total .. ' bytes; at most '
    .. ARGV[6] .. ' are allowed', used}
end
redis.call('HSET', KEYS[2], BYTES, string.format('%.0f', total), LAST, ARGV[4] .. ' ' .. ARGV[7])
for i = 9, last_put, 2 do
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
end
for i = last_put + 1, #ARGV do
  redis.call('HDEL', KEYS[2], ARGV[i])
end
return {'none', inc, '', total}

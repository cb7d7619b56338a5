-- prelude.lua: what all scripts share; the loader puts this text in front of each of them.
--
-- Not a script by itself: no KEYS, no ARGV, returns nothing.
-- Invariant: a script reads the server's incarnation itself (R2) and a record only as a whole:
-- either every field is one of ours, or nothing is written (R3).
-- Only commands and Lua functions that Redis 4.0 knows.

-- Redis 4.0 refuses a write after TIME unless effects are replicated instead of the script's text;
-- 5.0 and later always do that, and one day the function may be gone.
if redis.replicate_commands then
  redis.replicate_commands()
end

-- The record (R3) in the order in which it is returned.
local FIELDS = {
  'version', 'cluster_id', 'config_id', 'node_id', 'nonce', 'epoch', 'max_epoch', 'state',
  'ttl_ms', 'wid', 'inc', 'drain_ms', 'reserved_for', 'reason', 'label', 'written_us',
}
local NUMBERS = {'version', 'epoch', 'max_epoch', 'ttl_ms', 'drain_ms', 'written_us'}
local STATES = {void = true, held = true, released = true}
local VERSION = '1'
-- A record has 16 fields; a hash far beyond that is not ours and is not worth reading.
local FIELDS_MAX = 64

-- A whole number that a Lua double holds exactly (below 2^53).
local function is_count(text)
  return type(text) == 'string' and string.match(text, '^%d+$') ~= nil
    and #text <= 16 and tonumber(text) < 9007199254740992
end

-- Wall clock of this server in microseconds, for display only.
local function now_us()
  local time = redis.call('TIME')
  return string.format('%.0f', tonumber(time[1]) * 1000000 + tonumber(time[2]))
end

-- One life of this server (R2): inc, or nil and why not.
local function incarnation()
  local replication = redis.call('INFO', 'replication')
  local role = string.match(replication, 'role:(%a+)') or 'unknown'
  if role ~= 'master' then
    return nil, 'INFO shows role:' .. role .. '; a replica must not keep the lease'
  end
  local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  local replid = string.match(replication, 'master_replid:(%x+)')
  if not run_id or not replid then
    return nil, 'INFO shows no run_id or no master_replid'
  end
  return run_id .. ':' .. replid
end

-- Name of the type of a key ('none' when it is missing).
local function key_type(key)
  return redis.call('TYPE', key)['ok']
end

-- The record as a table of strings; nil when missing; nil and words when it is not one of ours.
local function read_record(key)
  local kind = key_type(key)
  if kind == 'none' then
    return nil
  end
  if kind ~= 'hash' then
    return nil, 'the key ' .. key .. ' is a ' .. kind .. ', not a hash'
  end
  if redis.call('HLEN', key) > FIELDS_MAX then
    return nil, 'the key ' .. key .. ' has more than ' .. FIELDS_MAX .. ' fields'
  end
  local flat = redis.call('HGETALL', key)
  local record = {}
  for i = 1, #flat, 2 do
    record[flat[i]] = flat[i + 1]
  end
  if record.version ~= VERSION then
    return nil, 'its version is ' .. (record.version or 'missing') .. ', this program knows ' .. VERSION
  end
  for _, field in ipairs(FIELDS) do
    if record[field] == nil then
      return nil, 'its field ' .. field .. ' is missing'
    end
  end
  for _, field in ipairs(NUMBERS) do
    if not is_count(record[field]) then
      return nil, 'its field ' .. field .. ' is not a whole number'
    end
  end
  if not STATES[record.state] then
    return nil, 'its state is none of void, held, released'
  end
  return record
end

-- One HSET, so that a record is never half written.
local function put_record(key, record)
  local flat = {}
  for _, field in ipairs(FIELDS) do
    flat[#flat + 1] = field
    flat[#flat + 1] = record[field]
  end
  redis.call('HSET', key, unpack(flat))
end

-- What a lease script returns (R4): {refusal, inc, detail, {field, value, ...}}.
local function answer(refusal, inc, detail, record)
  local flat = {}
  if record then
    for _, field in ipairs(FIELDS) do
      flat[#flat + 1] = field
      flat[#flat + 1] = record[field]
    end
  end
  return {refusal, inc, detail, flat}
end

-- A record for the missing key (R5): nobody is named since now. Its random wid makes a later
-- "missing" another one (H4), and max_epoch 0 claims nothing that was forgotten.
local function put_tombstone(key, cluster_id, config_id, wid, inc)
  local record = {
    version = VERSION, cluster_id = cluster_id, config_id = config_id, node_id = '', nonce = '',
    epoch = '0', max_epoch = '0', state = 'void', ttl_ms = '0', wid = wid, inc = inc,
    drain_ms = '0', reserved_for = '', reason = '', label = '', written_us = now_us(),
  }
  put_record(key, record)
  return record
end

-- Incarnation and record of this cluster; or nil, nil and the reply that refuses.
-- `wid` names the tombstone that replaces a missing record.
local function open_lease(key, cluster_id, config_id, wid)
  local inc, why = incarnation()
  if not inc then
    return nil, nil, answer('not_master', '', why)
  end
  local record, problem = read_record(key)
  if problem then
    return nil, nil, answer('unreadable', inc, problem)
  end
  if not record then
    record = put_tombstone(key, cluster_id, config_id, wid, inc)
  end
  if record.cluster_id ~= cluster_id then
    return nil, nil, answer('foreign_cluster', inc, 'it belongs to cluster ' .. record.cluster_id)
  end
  if record.config_id ~= config_id then
    return nil, nil, answer(
      'other_config', inc, 'it was written under config id ' .. record.config_id, record)
  end
  return inc, record
end

-- Is the record held by exactly this process in exactly this epoch?
local function is_held_by(record, nonce, epoch)
  return record.state == 'held' and record.nonce == nonce
    and tonumber(record.epoch) == tonumber(epoch)
end

-- control_put: store one control record (pause, loss limit, ...) if its version is higher.
--
-- KEYS     1 control records (hash: kind -> JSON text with "version")
-- ARGV     1 kind, 2 version, 3 JSON text, 4 how many kinds may exist
-- Returns  {outcome, version now, detail, JSON text now}; outcome 'none' (stored, or exactly this
--          is stored already), 'older', 'not_master', 'unreadable', 'too_large'
-- Writes   the one field, or nothing
-- Invariant: a version is never replaced by a lower one, nor by another text of the same version.
-- Not fenced by the lease: a person pauses the cluster also when nobody holds it.

local inc, why = incarnation()
if not inc then
  return {'not_master', 0, why, ''}
end
local kind = key_type(KEYS[1])
if kind ~= 'none' and kind ~= 'hash' then
  return {'unreadable', 0, 'the key ' .. KEYS[1] .. ' is a ' .. kind .. ', not a hash', ''}
end
local text = redis.call('HGET', KEYS[1], ARGV[1])
if text then
  local is_json, kept = pcall(cjson.decode, text)
  local version = is_json and type(kept) == 'table' and kept.version
  if type(version) ~= 'number' then
    return {'unreadable', 0, 'the record ' .. ARGV[1] .. ' there is not JSON with a version', ''}
  end
  if text == ARGV[3] then
    return {'none', version, 'it was stored already', text}
  end
  if version >= tonumber(ARGV[2]) then
    return {'older', version, 'version ' .. version .. ' is stored already', text}
  end
elseif redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[4]) then
  return {'too_large', 0, 'there are ' .. ARGV[4] .. ' kinds of control records already', ''}
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return {'none', tonumber(ARGV[2]), '', ARGV[3]}

-- member_publish: one node's heartbeat on the member board.
--
-- KEYS     1 member board (hash: node id -> JSON text)
-- ARGV     1 node id, 2 nonce (a JSON string), 3 beat (digits), 4 body (a JSON object),
--          5 how many members may exist
-- Returns  {outcome, detail}; outcome 'none', 'not_master', 'unreadable', 'too_large'
-- Writes   the one field, with seen_us = wall clock of this server, or nothing
-- Invariant: seen_us comes from this server's own clock alone, so that an age can be told without
-- comparing clocks of two machines. It is for display; duplicates are told by nonce and beat (R1).

local inc, why = incarnation()
if not inc then
  return {'not_master', why}
end
local kind = key_type(KEYS[1])
if kind ~= 'none' and kind ~= 'hash' then
  return {'unreadable', 'the key ' .. KEYS[1] .. ' is a ' .. kind .. ', not a hash'}
end
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0
  and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[5]) then
  return {'too_large', 'there are ' .. ARGV[5] .. ' members already'}
end
redis.call('HSET', KEYS[1], ARGV[1], '{"nonce":' .. ARGV[2] .. ',"beat":' .. ARGV[3]
  .. ',"seen_us":' .. now_us() .. ',"body":' .. ARGV[4] .. '}')
return {'none', ''}

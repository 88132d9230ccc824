-- Counts of one queue, and the time since its oldest ready message is deliverable.
-- KEYS: bodies ready delayed held dead
-- Returns ready, delayed, running, dead, microseconds since the oldest (-1: none is ready)
local bodies, ready, delayed, held, dead = unpack(KEYS)
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local later = string.format('(%.0f', now)
local delays = redis.call('ZCOUNT', delayed, later, '+inf')
local running = redis.call('ZCOUNT', held, later, '+inf')
local buried = redis.call('ZCARD', dead)
-- The list may have entries of deleted messages, so ready is the total minus the other states.
local count = redis.call('HLEN', bodies) - delays - running - buried
if count == 0 then return {0, delays, running, buried, -1} end

local oldest = now
for _, key in ipairs({delayed, held}) do
  local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  if first[2] then oldest = math.min(oldest, tonumber(first[2])) end
end
local entry = redis.call('LINDEX', ready, 0)
if entry then oldest = math.min(oldest, tonumber(string.sub(entry, 1, 16))) end
return {count, delays, running, buried, now - oldest}

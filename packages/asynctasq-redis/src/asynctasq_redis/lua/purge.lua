-- Remove the first messages of one state.
-- KEYS: bodies meta ready delayed held dead notes gone wake
-- ARGV: 'ready' | 'delayed' | 'dead', most messages to remove at once
-- Returns the number of removed messages, and 1 if there may be more.
local bodies, meta, ready, delayed, held = unpack(KEYS, 1, 5)
local dead, notes, gone, wake = unpack(KEYS, 6, 9)
local state, limit = ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local ids, more = {}, 0

local function take(key, from, to)
  local found = redis.call('ZRANGEBYSCORE', key, from, to, 'LIMIT', 0, limit)
  if #found > 0 then redis.call('ZREM', key, unpack(found)) end
  if #found == limit then more = 1 end
  for _, id in ipairs(found) do ids[#ids + 1] = id end
end

local function take_listed()
  local entries = redis.call('LPOP', ready, limit) or {}
  if #entries == limit then more = 1 end
  for _, entry in ipairs(entries) do
    local id = string.sub(entry, 17)
    local dropped = tonumber(redis.call('HGET', gone, id) or 0)
    if dropped == 0 then
      ids[#ids + 1] = id
    elseif redis.call('HINCRBY', gone, id, -1) == 0 then
      redis.call('HDEL', gone, id)
    end
  end
end

if state == 'delayed' then
  take(delayed, string.format('(%.0f', now), '+inf')
elseif state == 'dead' then
  take(dead, '-inf', '+inf')
else
  take(held, '-inf', now)
  take(delayed, '-inf', now)
  take_listed()
end
if #ids > 0 then
  redis.call('HDEL', bodies, unpack(ids))
  redis.call('HDEL', meta, unpack(ids))
  redis.call('HDEL', notes, unpack(ids))
end
if redis.call('EXISTS', bodies) == 0 then redis.call('DEL', wake) end
return {#ids, more}

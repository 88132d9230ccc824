-- Make dead messages ready, with no attempts counted.
-- KEYS: dead notes meta ready wake
-- ARGV: ids
-- Returns the ids that were dead.
local dead, notes, meta, ready, wake = unpack(KEYS)
local time = redis.call('TIME')
local stamp = string.format('%.0f', time[1] * 1000000 + time[2])
local done = {}
-- A key of another type raises here, before anything has moved.
redis.call('LLEN', ready)
for _, key in ipairs({notes, meta}) do redis.call('HLEN', key) end
for _, id in ipairs(ARGV) do
  if redis.call('ZREM', dead, id) == 1 then
    redis.call('HDEL', notes, id)
    redis.call('HSET', meta, id, '0@' .. stamp)
    redis.call('RPUSH', ready, stamp .. id)
    done[#done + 1] = id
  end
end
if #done > 0 then redis.call('ZADD', wake, 0, 'a', 0, 'b') end
return done

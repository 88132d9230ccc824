-- Remove messages that are held.
-- KEYS: bodies meta held
-- ARGV: ids
-- Returns the removed ids.
local bodies, meta, held = unpack(KEYS)
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local done = {}
for _, id in ipairs(ARGV) do
  local ends = redis.call('ZSCORE', held, id)
  if ends and tonumber(ends) > now then
    redis.call('ZREM', held, id)
    redis.call('HDEL', bodies, id)
    redis.call('HDEL', meta, id)
    done[#done + 1] = id
  end
end
return done

-- Remove messages that are not held.
-- KEYS: bodies meta delayed held dead notes gone wake
-- ARGV: ids
-- Returns the removed ids.
local bodies, meta, delayed, held = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local dead, notes, gone, wake = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local done = {}

local function is_running(id)
  local ends = redis.call('ZSCORE', held, id)
  return ends and tonumber(ends) > now
end

for _, id in ipairs(ARGV) do
  if redis.call('HEXISTS', bodies, id) == 1 and not is_running(id) then
    local known = redis.call('ZREM', delayed, id) + redis.call('ZREM', held, id)
      + redis.call('ZREM', dead, id)
    -- A list has no lookup by id: the entry is dropped when a claim reaches it.
    if known == 0 then redis.call('HINCRBY', gone, id, 1) end
    redis.call('HDEL', bodies, id)
    redis.call('HDEL', meta, id)
    redis.call('HDEL', notes, id)
    done[#done + 1] = id
  end
end
if redis.call('EXISTS', bodies) == 0 then redis.call('DEL', wake) end
return done

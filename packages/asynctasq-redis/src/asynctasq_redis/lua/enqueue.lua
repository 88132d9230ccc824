-- Store messages whose id is not stored yet.
-- KEYS: bodies ready delayed wake
-- ARGV: number of messages n, n ids, n bodies, n delays in microseconds (none: all are 0)
local bodies, ready, delayed, wake = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local n = tonumber(ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local stamp = string.format('%.0f', now)
local stored = redis.call('HMGET', bodies, unpack(ARGV, 2, n + 1))
local fields, entries, timed, earliest = {}, {}, {}, nil

for i = 1, n do
  if not stored[i] then
    local id, delay = ARGV[1 + i], tonumber(ARGV[1 + 2 * n + i] or 0)
    fields[#fields + 1] = id
    if delay == 0 then
      fields[#fields + 1] = stamp .. ARGV[1 + n + i]
      entries[#entries + 1] = stamp .. id
    else
      local due = now + delay
      fields[#fields + 1] = string.format('%.0f', due) .. ARGV[1 + n + i]
      timed[#timed + 1] = due
      timed[#timed + 1] = id
      earliest = math.min(earliest or due, due)
    end
  end
end

if #fields == 0 then return 0 end
redis.call('HSET', bodies, unpack(fields))
if #entries > 0 then redis.call('RPUSH', ready, unpack(entries)) end
local retime = false
if earliest then
  local first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
  retime = not first[2] or earliest < tonumber(first[2])
  redis.call('ZADD', delayed, unpack(timed))
end
if #entries > 1 then
  redis.call('ZADD', wake, 0, 'a', 0, 'b')
elseif #entries == 1 or retime then
  redis.call('ZADD', wake, 0, 'a')
end
return #fields / 2

-- Store messages whose id is not stored yet.
-- KEYS: bodies ready delayed wake, and the set of queue names where one server has all keys
-- ARGV: name of the queue, number of messages n, n ids, n bodies, n delays in microseconds
--       (none: all are 0)
-- Returns 1 if the queue was empty: its name may not be in the set.
local bodies, ready, delayed, wake, names = unpack(KEYS)
local queue, n = ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local stamp = string.format('%.0f', now)
local stored = redis.call('HMGET', bodies, unpack(ARGV, 3, n + 2))
local fields, entries, timed, earliest = {}, {}, {}, nil

for i = 1, n do
  if not stored[i] then
    local id, delay = ARGV[2 + i], tonumber(ARGV[2 + 2 * n + i] or 0)
    fields[#fields + 1] = id
    if delay == 0 then
      fields[#fields + 1] = stamp .. ARGV[2 + n + i]
      entries[#entries + 1] = stamp .. id
    else
      local due = now + delay
      fields[#fields + 1] = string.format('%.0f', due) .. ARGV[2 + n + i]
      timed[#timed + 1] = due
      timed[#timed + 1] = id
      earliest = math.min(earliest or due, due)
    end
  end
end

if #fields == 0 then return 0 end
local empty, retime = redis.call('EXISTS', bodies) == 0, false
if earliest then
  local first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
  retime = not first[2] or earliest < tonumber(first[2])
  redis.call('LLEN', ready) -- a key of another type raises here, before anything is stored
end
if empty and names then redis.call('SADD', names, queue) end
if #entries > 1 then
  redis.call('ZADD', wake, 0, 'a', 0, 'b')
elseif #entries == 1 or retime then
  redis.call('ZADD', wake, 0, 'a')
end
if #entries > 0 then redis.call('RPUSH', ready, unpack(entries)) end
if earliest then redis.call('ZADD', delayed, unpack(timed)) end
redis.call('HSET', bodies, unpack(fields))
return empty and 1 or 0

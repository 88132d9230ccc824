-- Live workers: pairs of microseconds since the last heartbeat, and info.
-- KEYS: expiries infos
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], string.format('(%.0f', now), '+inf')
local reply = {}
for _, id in ipairs(ids) do
  local info = redis.call('HGET', KEYS[2], id)
  if info then
    reply[#reply + 1] = now - tonumber(string.sub(info, 1, 16))
    reply[#reply + 1] = string.sub(info, 17)
  end
end
return reply

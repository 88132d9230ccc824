-- Store a worker until its ttl ends, and remove expired workers.
-- KEYS: expiries infos
-- ARGV: id, info, ttl in microseconds
local expiries, infos = KEYS[1], KEYS[2]
local id, info, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local silent = redis.call('ZRANGEBYSCORE', expiries, '-inf', now, 'LIMIT', 0, 1000)
if #silent > 0 then
  redis.call('ZREM', expiries, unpack(silent))
  redis.call('HDEL', infos, unpack(silent))
end
redis.call('ZADD', expiries, now + ttl, id)
redis.call('HSET', infos, id, string.format('%.0f', now) .. info)
-- After the last worker, no heartbeat removes expired ones, so the keys expire.
local ms = math.ceil(ttl / 1000)
for _, key in ipairs(KEYS) do
  if redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, ms) end
end
return 0

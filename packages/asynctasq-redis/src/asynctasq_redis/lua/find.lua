-- Messages by id.
-- KEYS: bodies meta delayed held dead notes
-- ARGV: ids
-- Returns the time, then lists beside the ids: stamped bodies, meta, when delayed ones are due,
-- when leases end, when dead ones died, notes.
local time = redis.call('TIME')
return {
  string.format('%.0f', time[1] * 1000000 + time[2]),
  redis.call('HMGET', KEYS[1], unpack(ARGV)),
  redis.call('HMGET', KEYS[2], unpack(ARGV)),
  redis.call('ZMSCORE', KEYS[3], unpack(ARGV)),
  redis.call('ZMSCORE', KEYS[4], unpack(ARGV)),
  redis.call('ZMSCORE', KEYS[5], unpack(ARGV)),
  redis.call('HMGET', KEYS[6], unpack(ARGV)),
}

-- Pass a wake-up on: add a marker if a message is ready or delayed.
-- KEYS: ready delayed wake
if redis.call('LLEN', KEYS[1]) > 0 or redis.call('ZCARD', KEYS[2]) > 0 then
  redis.call('ZADD', KEYS[3], 0, 'a')
end
return 0

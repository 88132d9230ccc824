-- Wake a waiter if there is something to take or to time; one that was woken has left.
-- KEYS: ready delayed wake
if redis.call('LLEN', KEYS[1]) > 0 or redis.call('ZCARD', KEYS[2]) > 0 then
  redis.call('ZADD', KEYS[3], 0, 'a')
end
return 0

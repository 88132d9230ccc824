-- Resume a queue, and wake its waiters.
-- KEYS: paused bodies wake
-- Returns 1 if it was paused.
if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('ZADD', KEYS[3], 0, 'a', 0, 'b') end
return redis.call('DEL', KEYS[1])

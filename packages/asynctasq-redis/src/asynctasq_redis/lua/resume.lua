-- Let messages be taken again, and wake those who wait for some.
-- KEYS: paused bodies wake
-- Returns 1 if they could not be until now.
if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('ZADD', KEYS[3], 0, 'a', 0, 'b') end
return redis.call('DEL', KEYS[1])

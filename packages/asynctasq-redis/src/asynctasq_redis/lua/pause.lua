-- Pause a queue.
-- KEYS: paused
-- Returns 1 if it was not paused.
return redis.call('SETNX', KEYS[1], 1)

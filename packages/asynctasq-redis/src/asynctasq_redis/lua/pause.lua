-- Let no more messages be taken.
-- KEYS: paused
-- Returns 1 if they could be until now.
return redis.call('SETNX', KEYS[1], 1)

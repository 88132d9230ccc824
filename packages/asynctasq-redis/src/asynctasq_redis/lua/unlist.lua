-- Remove the names of empty queues from the set.
-- KEYS: the set of names, then the bodies of each queue
-- ARGV: the names of the queues
local names = KEYS[1]
for i, queue in ipairs(ARGV) do
  if redis.call('EXISTS', KEYS[1 + i]) == 0 then redis.call('SREM', names, queue) end
end
return 0

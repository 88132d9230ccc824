-- Remove messages that are still held; others are unchanged.
-- KEYS: meta held bodies
-- ARGV: n ids, then their n receipts
-- Returns the positions (from 1) of those whose lease was lost.
local meta, held, bodies = KEYS[1], KEYS[2], KEYS[3]
local n = #ARGV / 2
local receipts = redis.call('HMGET', meta, unpack(ARGV, 1, n))
local ids, lost = {}, {}
for i = 1, n do
  if receipts[i] == ARGV[n + i] then
    ids[#ids + 1] = ARGV[i]
  else
    lost[#lost + 1] = i
  end
end
if #ids > 0 then
  redis.call('ZREM', held, unpack(ids))
  redis.call('HDEL', meta, unpack(ids))
  redis.call('HDEL', bodies, unpack(ids))
end
return lost

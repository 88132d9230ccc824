-- Move the ends of leases.
-- KEYS: meta held
-- ARGV: lease in microseconds, n ids, then their n receipts
-- Returns the positions (from 1) of those whose lease was lost.
local meta, held = KEYS[1], KEYS[2]
local n = (#ARGV - 1) / 2
local time = redis.call('TIME')
local ends = time[1] * 1000000 + time[2] + tonumber(ARGV[1])
local receipts = redis.call('HMGET', meta, unpack(ARGV, 2, n + 1))
local leases, ids, lost = {}, {}, {}
for i = 1, n do
  if receipts[i] == ARGV[1 + n + i] then
    ids[#ids + 1] = ARGV[1 + i]
    leases[#leases + 1] = ends
    leases[#leases + 1] = ARGV[1 + i]
  else
    lost[#lost + 1] = i
  end
end
if #ids > 0 and type(redis.pcall('ZADD', held, unpack(leases))) == 'table' then
  -- A full server refuses additions, except after a removal in the same script.
  redis.call('ZREM', held, unpack(ids))
  redis.call('ZADD', held, unpack(leases))
end
return lost

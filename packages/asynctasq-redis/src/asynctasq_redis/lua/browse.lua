-- Ids of one state: next to be delivered, or latest dead, first.
-- KEYS: ready delayed held dead gone
-- ARGV: 'ready' | 'delayed' | 'running' | 'dead', offset, limit
local ready, delayed, held, dead, gone = unpack(KEYS)
local state, offset, limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local later = string.format('(%.0f', now)

local function after(key)
  return redis.call('ZRANGEBYSCORE', key, later, '+inf', 'LIMIT', offset, limit)
end

if state == 'delayed' then return after(delayed) end
if state == 'running' then return after(held) end
if state == 'dead' then return redis.call('ZREVRANGE', dead, offset, offset + limit - 1) end

local ids = {}

local function add(found, total)
  for _, id in ipairs(found) do ids[#ids + 1] = id end
  offset = math.max(0, offset - total)
  limit = limit - #found
end

local function add_due(key)
  local total = redis.call('ZCOUNT', key, '-inf', now)
  if limit > 0 and offset < total then
    add(redis.call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', offset, limit), total)
  else
    offset = math.max(0, offset - total)
  end
end

-- Entries of deleted messages are passed over, so their number may shift a page.
local function add_listed()
  local total = redis.call('LLEN', ready)
  local found, seen = {}, {}
  local check = redis.call('EXISTS', gone) == 1
  local spare = check and redis.call('HLEN', gone) or 0
  if limit <= 0 then return end
  for _, entry in ipairs(redis.call('LRANGE', ready, offset, offset + limit + spare - 1)) do
    local id = string.sub(entry, 17)
    local dropped = check and tonumber(redis.call('HGET', gone, id) or 0) or 0
    seen[id] = (seen[id] or 0) + 1
    if seen[id] > dropped and #found < limit then found[#found + 1] = id end
  end
  add(found, total)
end

add_due(held)
add_listed()
add_due(delayed)
return ids

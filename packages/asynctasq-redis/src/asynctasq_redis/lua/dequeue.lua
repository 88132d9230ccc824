-- Take deliverable messages of several queues, in order, under a lease.
-- KEYS: for each queue: ready delayed held bodies meta gone wake paused
-- ARGV: limit, lease in microseconds, token of this call,
--       '1' if the caller waits when this finds nothing, '1' if it comes from waiting
-- Returns microseconds until the next message is due (-1: there is none), then for each queue
-- a list of ids, a list of their receipts and a list of their stamped bodies. If a queue fails and
-- others have messages, its position (from 1) and its error follow.
local room, lease, token = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local waits, woken = ARGV[4] == '1', ARGV[5] == '1'
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local PROMOTED = 1000 -- most delayed messages one call makes ready
local ROUNDS = 20 -- most batches of deleted entries one call skips

local function first_due(key)
  local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  return first[2] and tonumber(first[2])
end

local function promote(delayed, ready)
  local due = redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'WITHSCORES', 'LIMIT', 0, PROMOTED)
  local entries, ids = {}, {}
  for i = 1, #due, 2 do
    ids[#ids + 1] = due[i]
    entries[#entries + 1] = string.format('%.0f', tonumber(due[i + 1])) .. due[i]
  end
  redis.call('ZREM', delayed, unpack(ids))
  redis.call('RPUSH', ready, unpack(entries))
end

-- An entry whose message was deleted stays in the list; `gone` counts such entries by id.
local function is_gone(gone, id)
  local count = tonumber(redis.call('HGET', gone, id) or 0)
  if count == 0 then return false end
  if redis.call('HINCRBY', gone, id, -1) == 0 then redis.call('HDEL', gone, id) end
  return true
end

local function pop_ready(ready, gone, ids, limit)
  local check = redis.call('HLEN', gone) > 0
  for _ = 1, ROUNDS do
    local entries = redis.call('LPOP', ready, limit - #ids)
    if not entries then return end
    for _, entry in ipairs(entries) do
      local id = string.sub(entry, 17)
      if not (check and is_gone(gone, id)) then ids[#ids + 1] = id end
    end
    if #ids == limit then return end
  end
end

local function hold(ids, held, bodies, meta)
  local stored = redis.call('HMGET', bodies, unpack(ids))
  local known = redis.call('HMGET', meta, unpack(ids))
  local first, ends = '1:' .. token, now + lease
  local taken, receipts, contents, leases, marks = {}, {}, {}, {}, {}
  for i, id in ipairs(ids) do
    if stored[i] then
      local receipt = first
      if known[i] then
        -- Only `@` marks that the attempt before had an outcome.
        local attempt, mark = string.match(known[i], '^(%d+)(.)')
        receipt = string.format('%d', attempt + 1) .. (mark == '@' and ':' or '!') .. token
      end
      local k = #taken + 1
      taken[k], receipts[k], contents[k] = id, receipt, stored[i]
      leases[2 * k - 1], leases[2 * k] = ends, id
      marks[2 * k - 1], marks[2 * k] = id, receipt
    end
  end
  if #taken > 0 then
    redis.call('ZADD', held, unpack(leases))
    redis.call('HSET', meta, unpack(marks))
  end
  return taken, receipts, contents
end

-- Fills `ids`, and leases them.
local function pop_and_hold(ids, ready, gone, held, bodies, meta)
  if #ids < room then pop_ready(ready, gone, ids, room) end
  if #ids == 0 then return {}, {}, {} end
  return hold(ids, held, bodies, meta)
end

-- Messages that cannot be leased, because a key has another type, are due at once.
local function put_back(ids, held)
  local leases = {}
  for i, id in ipairs(ids) do leases[2 * i - 1], leases[2 * i] = now, id end
  if #ids > 0 then redis.call('ZADD', held, unpack(leases)) end
end

local limit, queues = room, {}
local reply, soonest = {-1}, nil

local function take(base)
  local paused = redis.call('EXISTS', KEYS[base + 8]) == 1
  local ready, delayed, held = KEYS[base + 1], KEYS[base + 2], KEYS[base + 3]
  local bodies, meta, gone, wake = KEYS[base + 4], KEYS[base + 5], KEYS[base + 6], KEYS[base + 7]
  local ids, done, taken, receipts, contents = {}, true, {}, {}, {}
  -- For a key of another type each of these is an error, before anything has moved.
  local next_due, next_free = first_due(delayed), first_due(held)
  local left = redis.call('LLEN', ready)

  if room > 0 and not paused then
    if next_free and next_free <= now then
      ids = redis.call('ZRANGEBYSCORE', held, '-inf', now, 'LIMIT', 0, room)
      redis.call('ZREM', held, unpack(ids)) -- first: a full server then accepts the other writes
    end
    if next_due and next_due <= now then
      promote(delayed, ready)
      next_due, left = first_due(delayed), 1
    end
    if #ids > 0 or left > 0 then
      done, taken, receipts, contents = pcall(pop_and_hold, ids, ready, gone, held, bodies, meta)
      if not done then
        put_back(ids, held)
        error(taken, 0)
      end
      room = room - #taken
      next_free, left = first_due(held), redis.call('LLEN', ready)
    end
  end

  if not paused then -- resume wakes the waiters
    if next_free and next_free <= now then left = left + 1 end
    queues[#queues + 1] = {wake, left, next_due, base / 8 + 1}
    if left > 0 then soonest = now end
    if next_due then soonest = math.min(soonest or next_due, next_due) end
    if next_free then soonest = math.min(soonest or next_free, next_free) end
  end
  return taken, receipts, contents
end

local failed, failure

local function note_failure(position, error)
  failed = failed or position
  failure = failure or type(error) == 'table' and error.err or tostring(error)
end

for base = 0, #KEYS - 1, 8 do
  local done, taken, receipts, contents = pcall(take, base)
  if not done then
    note_failure(base / 8 + 1, taken)
    taken, receipts, contents = {}, {}, {}
  end
  reply[#reply + 1], reply[#reply + 2], reply[#reply + 3] = taken, receipts, contents
end

-- A caller that waits afterwards has the next due time; otherwise a marker passes it to another.
local rests = waits and room == limit and not failure
for _, queue in ipairs(queues) do
  local wake, left, next_due, position = unpack(queue, 1, 4)
  local marked
  if left > 1 then
    marked = redis.pcall('ZADD', wake, 0, 'a', 0, 'b')
  elseif left == 1 or (next_due and woken and not rests) then
    marked = redis.pcall('ZADD', wake, 0, 'a')
  elseif rests or not next_due then
    marked = redis.pcall('DEL', wake)
  end
  if type(marked) == 'table' then note_failure(position, marked) end
end

if failure and room == limit then return redis.error_reply(failure) end
if soonest then reply[1] = math.max(0, soonest - now) end
if failure then reply[#reply + 1], reply[#reply + 2] = failed, failure end
return reply

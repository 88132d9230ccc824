-- Retry or release messages, or keep them as dead, if they are still held.
-- KEYS: meta held ready delayed dead notes wake
-- ARGV: for each message: id, receipt, 'retry' | 'release' | 'dead', delay in microseconds, note
-- Returns the positions (from 1) of those whose lease was lost.
local meta, held, ready, delayed = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local dead, notes, wake = KEYS[5], KEYS[6], KEYS[7]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
local earliest = tonumber(first[2] or math.huge)
local lost, woken, retime = {}, 0, false
-- A key of another type raises here, before anything has moved.
redis.call('LLEN', ready)
redis.call('HLEN', notes)
for _, key in ipairs({held, dead, wake}) do redis.call('ZCARD', key) end

for i = 1, #ARGV / 5 do
  local id, receipt, outcome, delay, note = unpack(ARGV, 5 * i - 4, 5 * i)
  if redis.call('HGET', meta, id) ~= receipt then
    lost[#lost + 1] = i
  else
    local attempt, mark = string.match(receipt, '^(%d+)(.)')
    local given_back = '@'
    if outcome == 'release' then
      attempt = attempt - 1
      if mark == '!' then given_back = '~' end
    end
    local due = now + tonumber(delay)
    local stamp = string.format('%.0f', due)
    redis.call('ZREM', held, id) -- first: a full server then accepts the other writes
    redis.call('HSET', meta, id, string.format('%d', attempt) .. given_back .. stamp)
    if outcome == 'dead' then
      redis.call('ZADD', dead, now, id)
      redis.call('HSET', notes, id, note)
    elseif due == now then
      redis.call('RPUSH', ready, stamp .. id)
      woken = woken + 1
    else
      redis.call('ZADD', delayed, due, id)
      retime = retime or due < earliest
    end
  end
end

if woken > 1 then
  redis.call('ZADD', wake, 0, 'a', 0, 'b')
elseif woken == 1 or retime then
  redis.call('ZADD', wake, 0, 'a')
end
return lost

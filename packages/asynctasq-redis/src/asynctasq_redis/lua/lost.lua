-- Find messages leased by claims whose replies were lost.
-- KEYS: meta held
-- ARGV: microseconds from now in which their leases begin to end (may be negative), their tokens
-- Returns a list of ids and a list of their receipts.
local meta, held = KEYS[1], KEYS[2]
local PAGE, PAGES = 1000, 10 -- leases per page, and most pages of one call
local time = redis.call('TIME')
local from = string.format('%.0f', time[1] * 1000000 + time[2] + tonumber(ARGV[1]))
local tokens = {}
for i = 2, #ARGV do tokens[ARGV[i]] = true end

local found, receipts = {}, {}
for page = 0, PAGES - 1 do
  local ids = redis.call('ZRANGEBYSCORE', held, from, '+inf', 'LIMIT', page * PAGE, PAGE)
  if #ids > 0 then
    for i, receipt in ipairs(redis.call('HMGET', meta, unpack(ids))) do
      if receipt and tokens[string.match(receipt, '^%d+[:!](.*)$')] then
        found[#found + 1], receipts[#receipts + 1] = ids[i], receipt
      end
    end
  end
  if #ids < PAGE then break end
end
return {found, receipts}

-- FENCE  K  token, ttl ms, inbox prefix, wake payload
-- {number of OTHER live fences, expiry of mine}; token..expiry (29 bytes) is the fence id that UNFENCE asks for.
-- The expiry is in ms of the server's clock. At most 64 writers of one key, then an error FENCES and no change.
-- Running it twice changes nothing more: it neither renews nor forgets an overlap.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local v = redis.pcall('GET', KEYS[1])
local kind = type(v) == 'string' and string.sub(v, 1, 1) or ''
local others, n, flag, mine, far = {}, 0, 'c', now + tonumber(ARGV[2]), 0
if kind == 'F' and (#v - 1) % 30 == 0 then
  for i = 2, #v, 30 do
    local expiry = tonumber(string.match(string.sub(v, i + 17, i + 29), '^%d+$') or 0)
    if string.sub(v, i + 1, i + 16) == ARGV[1] then
      if expiry > now then mine = expiry end
      if expiry <= now or string.sub(v, i, i) ~= 'c' then flag = 'd' end
    elseif expiry > now then
      n = n + 1
      others[n] = 'd' .. string.sub(v, i + 1, i + 29)
      far = math.max(far, expiry)
    end
  end
end
if n >= 64 then return redis.error_reply('FENCES too many writers of one key') end
if n > 0 then flag = 'd' end                                -- overlapped: neither may write through
redis.call('SET', KEYS[1], 'F' .. table.concat(others) .. flag .. ARGV[1] .. string.format('%013d', mine),
  'PX', string.format('%d', math.max(far, mine) - now))
if kind == 'L' then                                         -- its holder will be refused: let the waiters look again
  for i = 34, #v - 7, 8 do redis.call('PUBLISH', ARGV[3] .. string.sub(v, i, i + 7), ARGV[4]) end
end
return {n, mine}

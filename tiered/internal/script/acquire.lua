-- ACQUIRE  K  token, lease ms, stamp of a value that may be replaced ('' = none)
-- The lease is mine: its grant, an integer of 16 digits; token..grant is the lease id that COMMIT asks for.
-- Else, as a string, what stands there: a value, somebody's lease, or fences of which one at least is live.
-- The grant is the server's clock in us. A retry can leave a copy of this call behind that arrives after the lease
-- was taken away by an invalidation; it makes another grant, so a COMMIT for the first one is still refused.
local t = redis.call('TIME')
local us = t[1] * 1000000 + t[2]
local v = redis.pcall('GET', KEYS[1])
local kind = type(v) == 'string' and string.sub(v, 1, 1) or ''
if kind == 'V' and #v >= 17 then
  if ARGV[3] == '' or string.sub(v, 2, 17) ~= ARGV[3] then return v end
elseif kind == 'L' and #v >= 33 and (#v - 33) % 8 == 0 and redis.call('PTTL', KEYS[1]) ~= -1 then
  if string.sub(v, 2, 17) ~= ARGV[1] then return v end
  return tonumber(string.sub(v, 18, 33))                    -- ran twice
elseif kind == 'F' and (#v - 1) % 30 == 0 then
  for i = 2, #v, 30 do
    local expiry = tonumber(string.match(string.sub(v, i + 17, i + 29), '^%d+$') or 0)
    if expiry * 1000 > us then return v end
  end
end
redis.call('SET', KEYS[1], 'L' .. ARGV[1] .. string.format('%016d', us), 'PX', ARGV[2])  -- absent, malformed, foreign or replaceable
return us

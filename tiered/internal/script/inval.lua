-- INVAL  K  inbox prefix, wake payload
-- 0 nothing was there   1 removed   2 live fences remain, and may no longer write through
-- For writes made elsewhere, or when my fence was lost: my write of the source may land after that of a fence's owner.
local v = redis.pcall('GET', KEYS[1])
local kind = type(v) == 'string' and string.sub(v, 1, 1) or ''
if kind == 'F' and (#v - 1) % 30 == 0 then
  local t = redis.call('TIME')
  local now = t[1] * 1000 + math.floor(t[2] / 1000)
  local live, far = {}, 0
  for i = 2, #v, 30 do
    local expiry = tonumber(string.match(string.sub(v, i + 17, i + 29), '^%d+$') or 0)
    if expiry > now then
      live[#live + 1] = 'd' .. string.sub(v, i + 1, i + 29)
      far = math.max(far, expiry)
    end
  end
  if far > 0 then
    redis.call('SET', KEYS[1], 'F' .. table.concat(live), 'PX', string.format('%d', far - now))
    return 2
  end
end
local removed = redis.call('DEL', KEYS[1])
if kind == 'L' then
  for i = 34, #v - 7, 8 do redis.call('PUBLISH', ARGV[1] .. string.sub(v, i, i + 7), ARGV[2]) end
end
return removed

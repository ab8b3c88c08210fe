-- UNFENCE  K  fence id (token..expiry), record ('V'..token..envelope, '' = none), px
-- -1 my fence is gone (INVAL and APPEND again)   0 cleared   1 written through   n+1 cleared, n other fences remain
-- A bare token removes the fence but writes nothing: for a writer whose FENCE got no answer. The expiry in the id tells the
-- fence I wrote under from one that a late copy of my FENCE made after mine was gone and others had written.
local id = ARGV[1]
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local v = redis.pcall('GET', KEYS[1])
if type(v) ~= 'string' or #id < 16 then return -1 end
local through = ARGV[2] ~= '' and #id == 29
if through and string.sub(v, 1, 17) == 'V' .. string.sub(id, 1, 16) then return 1 end   -- ran twice
if string.sub(v, 1, 1) ~= 'F' or (#v - 1) % 30 ~= 0 then return -1 end
local others, n, far, flag = {}, 0, 0, nil
for i = 2, #v, 30 do
  local expiry = tonumber(string.match(string.sub(v, i + 17, i + 29), '^%d+$') or 0)
  if expiry > now then
    if string.sub(v, i + 1, i + #id) == id then
      flag = string.sub(v, i, i)
    else
      n = n + 1
      others[n] = string.sub(v, i, i + 29)
      far = math.max(far, expiry)
    end
  end
end
if not flag then return -1 end
if n > 0 then
  redis.call('SET', KEYS[1], 'F' .. table.concat(others), 'PX', string.format('%d', far - now))
  return n + 1
end
if through and flag == 'c' then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  return 1
end
redis.call('DEL', KEYS[1])
return 0

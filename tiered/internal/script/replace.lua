-- REPLACE  K  stamp of the value I refreshed, record ('V'..token..envelope), px
-- 1: stored.  0: it is no longer that value, nothing was stored.
local v = redis.pcall('GET', KEYS[1])
if type(v) ~= 'string' then return 0 end
if string.sub(v, 1, 17) == string.sub(ARGV[2], 1, 17) then return 1 end       -- ran twice
if string.sub(v, 1, 17) ~= 'V' .. ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1

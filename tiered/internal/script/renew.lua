-- RENEW  K  lease id or bare token, px
-- 1: the lease lasts px ms from now.  0: it is no longer mine.
-- Also for the lock of a refresh, which is a lease on a key of its own.
local v = redis.pcall('GET', KEYS[1])
if type(v) ~= 'string' or #ARGV[1] < 16 then return 0 end
if string.sub(v, 1, 1 + #ARGV[1]) ~= 'L' .. ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])

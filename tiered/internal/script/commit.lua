-- COMMIT  K  lease id (token..grant), record ('V'..token..envelope, '' = give up), px, inbox prefix, wake payload
-- 1: stored (or given up).  0: the lease is no longer mine, nothing was stored.
-- A bare token is enough to give up, for a holder whose ACQUIRE or whose reply was lost.
local id = ARGV[1]
local v = redis.pcall('GET', KEYS[1])
if type(v) ~= 'string' or #id < 16 then return 0 end
if ARGV[2] ~= '' then
  if string.sub(v, 1, 17) == 'V' .. string.sub(id, 1, 16) then return 1 end    -- ran twice
  if #id ~= 32 then return 0 end                                            -- storing takes the proof of this very grant
end
if string.sub(v, 1, 1 + #id) ~= 'L' .. id then return 0 end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
for i = 34, #v - 7, 8 do redis.call('PUBLISH', ARGV[4] .. string.sub(v, i, i + 7), ARGV[5]) end
return 1

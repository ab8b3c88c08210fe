-- WAIT  K  inbox (8 bytes)
-- Puts me on the wake-up list of a lease, once: the ms it has left, an integer.
-- Else, as a string, what stands there; nil if nothing does, or no lease of ours (no TTL, wrong length): ACQUIRE it.
local v = redis.pcall('GET', KEYS[1])
if type(v) ~= 'string' then return false end
if string.sub(v, 1, 1) ~= 'L' then return v end
local left = redis.call('PTTL', KEYS[1])
if left == -1 or #v < 33 or (#v - 33) % 8 ~= 0 then return false end
for i = 34, #v, 8 do
  if string.sub(v, i, i + 7) == ARGV[1] then return left end
end
redis.call('APPEND', KEYS[1], ARGV[1])
return left

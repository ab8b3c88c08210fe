-- CONFIRM bus  slot, nonce.  1: the entry with this nonce still stands in the ring.  Writes nothing
local m = redis.call('HGET', KEYS[1], ARGV[1])
if m and string.find(m, '|'..ARGV[2]..'|', 1, true) then return 1 end
return 0

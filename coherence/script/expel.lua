-- EXPEL  nodes  name, value ('' any), name, value...
-- How many were removed. Takes nodes off the list of those that attest, unless one has attested anew since the value was read:
-- their leases have run out, or they leave.
local n = 0
for i = 1, #ARGV, 2 do
  local at = 'l:' .. ARGV[i]
  if ARGV[i + 1] == '' or redis.call('HGET', KEYS[1], at) == ARGV[i + 1] then n = n + redis.call('HDEL', KEYS[1], at) end
end
return n

-- ATTEST  bus, nodes  name, lease in ms, sequence, number of the last entry that I have applied, identity...
-- {n, c, e, v, seconds, microseconds, registry, birth}; what a probe reads, '' where it is missing
-- Enters the caller among the nodes that attest and then reads the bus: an entry that does not find the caller on the list is in
-- the reply. A node is 'l:<name>' = 'lease|sequence|number|seconds': no two of its values are equal, and whoever has waited for
-- its lease since one of them was read may remove it: see EXPEL.
-- The registry is named by when it began, in us. Fences, leases and other registries may have been lost before the birth, in
-- ms: of the registry, the epoch, or the youngest of the named processes, whichever is last.
-- It removes nobody: the clock of this server does not know whose lease is over.
local t = redis.call('TIME')
local g = redis.call('HGET', KEYS[2], 'g')
if not g then
  g = string.format('%d', t[1] * 1000000 + t[2])
  redis.call('HSET', KEYS[2], 'g', g)
end
redis.call('HSET', KEYS[2], 'l:' .. ARGV[1], ARGV[2] .. '|' .. ARGV[3] .. '|' .. ARGV[4] .. '|' .. t[1])
local h = redis.call('HMGET', KEYS[1], 'n', 'c', 'e', 'v')
local birth = math.max(tonumber(h[3] or 0) or 0, math.floor((tonumber(g) or 0) / 1000))
for i = 5, #ARGV do
  birth = math.max(birth, tonumber(redis.call('HGET', KEYS[1], 'r:' .. ARGV[i]) or 0) or 0)
end
return {h[1] or '', h[2] or '', h[3] or '', h[4] or '', t[1], t[2], g, string.format('%d', birth)}

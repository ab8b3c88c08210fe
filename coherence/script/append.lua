-- APPEND  bus, nodes  channel, nonce (hex), payload, want live nodes 0/1
-- {n, nonce of entry n-1, epoch, now in ms, {live node, lease end, ...}}; all but n are strings
-- The entry 'number|previous nonce|nonce|payload' goes into slot n % 1024 and onto the channel. A missing epoch is made here.
-- Running it twice in a row appends once; a copy that arrives after another entry appends again, which is only a second bump.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local h = redis.call('HMGET', KEYS[1], 'n', 'c', 'e')
local n, last, epoch = tonumber(h[1] or 0) or 0, h[2] or '', h[3]
local slot = string.format('%d', n % 1024)
local previous = last
if not epoch then
  epoch = string.format('%d', now)
  redis.call('HSET', KEYS[1], 'e', epoch)
end
if last == ARGV[2] then                                     -- ran twice: answer what the first run did
  local entry = redis.call('HGET', KEYS[1], slot) or ''
  previous = string.match(string.sub(entry, 1, 128), '^%d+|(%x*)|') or ''
else
  n = n + 1
  slot = string.format('%d', n % 1024)
  local entry = string.format('%d', n) .. '|' .. last .. '|' .. ARGV[2] .. '|' .. ARGV[3]
  redis.call('HSET', KEYS[1], 'n', string.format('%d', n), 'c', ARGV[2], slot, entry)
  redis.call('PUBLISH', ARGV[1], entry)
end
local live = {}
if ARGV[4] == '1' then
  live = redis.call('ZRANGEBYSCORE', KEYS[2], string.format('(%d', now), '+inf', 'WITHSCORES')
end
return {n, previous, epoch, string.format('%d', now), live}

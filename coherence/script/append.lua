-- APPEND  bus, nodes  channel, nonce (hex), payload, id of the announcing member ('' none), registry ('' nobody is to confirm it),
--         how many stamps are taken (1 if left out)
-- {n, nonce of entry n-1, epoch, now in ms, stamp, {name, value, ...}}; all but n are strings
-- The list is of the nodes that attest: see ATTEST. It is as the entry found it. The stamp is the last of those taken. Stamps grow
-- from entry to entry, also over a loss of history: they follow the server's clock in us, and each other if that stands.
-- error STRANGER: the fleet has members and the caller is none, or not any more; nothing changed
-- error UNLISTED: the registry is not the one that the caller is on: others of it may be unknown here; nothing changed
-- The entry 'number|previous nonce|nonce|payload' goes into slot n % 1024 and onto the channel. A missing epoch is made here.
-- Running it twice in a row appends once; a copy that arrives after another entry appends again, which is only a second bump.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local h = redis.call('HMGET', KEYS[1], 'n', 'c', 'e', 'v', 't')
local n, last, epoch = tonumber(h[1] or 0) or 0, h[2] or '', h[3]
if h[4] then                                                -- a fleet that keeps its values over a failover: see BEAT
  local function live(member) return member and (tonumber(string.match(member, '^%d+') or 0) or 0) > now end
  if not live(redis.call('HGET', KEYS[2], 'm:' .. ARGV[4])) then
    local all = redis.call('HGETALL', KEYS[2])
    for i = 1, #all, 2 do
      if string.sub(all[i], 1, 2) == 'm:' and live(all[i + 1]) then
        return redis.error_reply('STRANGER the fleet has members and this node is none')
      end
    end
  end
end
local listed = {}
if ARGV[5] and ARGV[5] ~= '' then
  local all, known = redis.call('HGETALL', KEYS[2]), false
  for i = 1, #all, 2 do
    local name = string.match(all[i], '^l:(.+)$')
    if name then
      listed[#listed + 1] = name
      listed[#listed + 1] = all[i + 1]
    end
    known = known or all[i] == 'g' and all[i + 1] == ARGV[5]
  end
  if not known then return redis.error_reply('UNLISTED the registry of nodes was lost') end
end
local slot = string.format('%d', n % 1024)
local previous, stamp = last, tonumber(h[5] or 0) or 0
if not epoch then
  epoch = string.format('%d', now)
  redis.call('HSET', KEYS[1], 'e', epoch)
end
if last == ARGV[2] then                                     -- ran twice: answer what the first run did
  local entry = redis.call('HGET', KEYS[1], slot) or ''
  previous = string.match(string.sub(entry, 1, 128), '^%d+|(%x*)|') or ''
else
  n, stamp = n + 1, math.max(stamp + (tonumber(ARGV[6] or 1) or 1), t[1] * 1000000 + t[2])
  slot = string.format('%d', n % 1024)
  local entry = string.format('%d', n) .. '|' .. last .. '|' .. ARGV[2] .. '|' .. ARGV[3]
  redis.call('HSET', KEYS[1], 'n', string.format('%d', n), 'c', ARGV[2], 't', string.format('%d', stamp), slot, entry)
  redis.call('PUBLISH', ARGV[1], entry)
end
return {n, previous, epoch, string.format('%d', now), string.format('%d', stamp), listed}

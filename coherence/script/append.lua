-- APPEND  bus, nodes  channel, nonce (hex), payload, how many stamps are taken, id of the announcing member ('' none), registry
--         ('' nobody is to confirm it); what is left out at the end is 0 or ''
-- {n, epoch, stamp, {name, value, ...}}; n and stamp are numbers
-- The list is of the nodes that attest, as the entry found it: see ATTEST. It is left out if nobody is to confirm. The stamp is the
-- last of those taken, 0 if none are. Stamps grow from entry to entry, also over a loss of history: they follow the server's clock
-- in us, and each other if that stands.
-- error STRANGER: the fleet has members and the caller is none, or not any more; nothing changed
-- error UNLISTED: the registry is not the one that the caller is on: others of it may be unknown here; nothing changed
-- The entry 'number|previous nonce|nonce|payload' goes into slot n % 1024 and onto the channel. A missing epoch is made here.
-- Running it twice in a row appends once; a copy that arrives after another entry appends again, which is only a second bump.
-- A script that has not run for some milliseconds costs by what it touches more than by what it does: the plain case asks for no
-- clock and formats two numbers.
local h = redis.call('HMGET', KEYS[1], 'n', 'c', 'e', 'v', 't')
local n, last, epoch = tonumber(h[1] or 0) or 0, h[2] or '', h[3]
local stamps = tonumber(ARGV[4] or 0)
local t = (h[4] or not epoch or stamps > 0) and redis.call('TIME')
if h[4] then                                                -- a fleet that keeps its values over a failover: see BEAT
  local now = t[1] * 1000 + math.floor(t[2] / 1000)
  local function live(member) return member and (tonumber(string.match(member, '^%d+') or 0) or 0) > now end
  if not live(redis.call('HGET', KEYS[2], 'm:' .. (ARGV[5] or ''))) then
    local all = redis.call('HGETALL', KEYS[2])
    for i = 1, #all, 2 do
      if string.sub(all[i], 1, 2) == 'm:' and live(all[i + 1]) then
        return redis.error_reply('STRANGER the fleet has members and this node is none')
      end
    end
  end
end
local listed
if ARGV[6] and ARGV[6] ~= '' then
  local all, known = redis.call('HGETALL', KEYS[2]), false
  listed = {}
  for i = 1, #all, 2 do
    local name = string.match(all[i], '^l:(.+)$')
    if name then
      listed[#listed + 1] = name
      listed[#listed + 1] = all[i + 1]
    end
    known = known or all[i] == 'g' and all[i + 1] == ARGV[6]
  end
  if not known then return redis.error_reply('UNLISTED the registry of nodes was lost') end
end
if not epoch then
  epoch = string.format('%d', t[1] * 1000 + math.floor(t[2] / 1000))
  redis.call('HSET', KEYS[1], 'e', epoch)
end
local stamp = stamps > 0 and tonumber(h[5] or 0) or 0
if last ~= ARGV[2] then                                     -- else it ran twice: answer what the first run did
  n = n + 1
  if stamps > 0 then
    stamp = math.max(stamp + stamps, t[1] * 1000000 + t[2])
    redis.call('HSET', KEYS[1], 't', string.format('%d', stamp))
  end
  local number = string.format('%d', n)
  local entry = number .. '|' .. last .. '|' .. ARGV[2] .. '|' .. ARGV[3]
  redis.call('HSET', KEYS[1], 'n', number, 'c', ARGV[2], string.format('%d', n % 1024), entry)
  redis.call('PUBLISH', ARGV[1], entry)
end
return {n, epoch, stamp, listed}

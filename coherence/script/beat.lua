-- BEAT  bus, nodes  id, life in ms (0: I leave), version of the list I have, am I a member 0/1
-- {version, number of the last entry, {id, version that one has, ...}}; the list is of the others.  {-1}: I am no member any more
-- A member is 'm:<id>' = 'end of its life in ms|version that it has'. The version grows with every coming and going. Those whose
-- life has ended are removed, but not while a recovery is open: the time without Redis counts against nobody.
-- Running it twice changes nothing more.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local h = redis.call('HMGET', KEYS[1], 'n', 'v')
local version, all = tonumber(h[2] or 0) or 0, redis.call('HGETALL', KEYS[2])
local open = (tonumber(redis.call('HGET', KEYS[2], 'u') or 0) or 0) > now
local others, mine, changed = {}, false, not h[2]
for i = 1, #all, 2 do
  local id = string.match(all[i], '^m:(%w+)$')
  if id then
    local life, seen = string.match(all[i + 1], '^(%d+)|(%d+)$')
    if not open and (tonumber(life or 0) or 0) <= now then
      redis.call('HDEL', KEYS[2], all[i])
      changed = true
    elseif id == ARGV[1] then
      mine = true
    else
      others[#others + 1] = id
      others[#others + 1] = seen or '0'
    end
  end
end
local lost = not mine and ARGV[4] == '1'
if ARGV[2] == '0' then
  changed = redis.call('HDEL', KEYS[2], 'm:' .. ARGV[1]) == 1 or changed
elseif not lost then
  changed = changed or not mine
  redis.call('HSET', KEYS[2], 'm:' .. ARGV[1], string.format('%d|%d', now + ARGV[2], ARGV[3]))
end
if changed then
  version = math.max(version + 1, now)                      -- never one that a lost history had
  redis.call('HSET', KEYS[1], 'v', string.format('%d', version))
end
if lost then return {-1} end
return {version, tonumber(h[1] or 0) or 0, others}

-- RECOVER  bus, nodes  process, epoch ('0' none), id ('' none), life in ms, grace in ms, done 0/1, id of a member I know...
-- {'open', n, nonce}   the process is not settled yet: make lost announcements again, then ask with done = 1, then wait
-- {'kept', n, nonce}   it is settled: all who may have announced what it lost have made it again; the epoch stands
-- {'cold'}             it cannot be: MEET. No fleet of members, another epoch, or the grace is over
-- n and nonce are those of the bus now. Who names members (itself among them) vouches that nobody else has announced anything
-- that this history lacks. Running it twice changes nothing more.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local h = redis.call('HMGET', KEYS[1], 'n', 'c', 'e', 'v')
local n, nonce = tonumber(h[1] or 0) or 0, h[2] or ''
if not h[3] or not h[4] or (ARGV[2] ~= '0' and ARGV[2] ~= h[3]) then return {'cold'} end
if redis.call('HEXISTS', KEYS[1], 'r:' .. ARGV[1]) == 1 then return {'kept', n, nonce} end
local r = redis.call('HMGET', KEYS[2], 'p', 'u')
if r[1] ~= ARGV[1] then                                     -- the first to ask: whatever was open ends
  local fields = redis.call('HKEYS', KEYS[2])
  for i = 1, #fields do
    if string.match(fields[i], '^[qd]:') then redis.call('HDEL', KEYS[2], fields[i]) end
  end
  r[2] = string.format('%d', now + ARGV[5])
  redis.call('HSET', KEYS[2], 'p', ARGV[1], 'u', r[2])
end
if now > tonumber(r[2]) then return {'cold'} end
if ARGV[3] ~= '' then
  redis.call('HSET', KEYS[2], 'm:' .. ARGV[3], string.format('%d|0', now + ARGV[4]))
  if ARGV[6] == '1' then redis.call('HSET', KEYS[2], 'd:' .. ARGV[3], '1') end
  for i = 7, #ARGV do redis.call('HSET', KEYS[2], 'q:' .. ARGV[i], '1') end
end
local fields, wanted, missing = redis.call('HKEYS', KEYS[2]), 0, 0
for i = 1, #fields do
  local id = string.match(fields[i], '^q:(%w+)$')
  if id then
    wanted = wanted + 1
    if redis.call('HEXISTS', KEYS[2], 'd:' .. id) == 0 then missing = missing + 1 end
  end
end
if wanted == 0 or missing > 0 then return {'open', n, nonce} end
redis.call('HSET', KEYS[1], 'r:' .. ARGV[1], string.format('%d', now), 'v', string.format('%d', math.max(tonumber(h[4]) + 1, now)))
for i = 1, #fields do
  if string.match(fields[i], '^[qd]:') then redis.call('HDEL', KEYS[2], fields[i]) end
end
redis.call('HDEL', KEYS[2], 'p', 'u')
return {'kept', n, nonce}

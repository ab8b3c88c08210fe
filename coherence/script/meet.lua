-- MEET  bus  identity (run_id:master_replid, '' unknown), highest epoch ever seen here ('0' none), force 0/1
-- {epoch to use (a string), age in ms}. The epoch is a new and higher one if this Redis history is unknown to the bus, if the epoch is missing or
-- below what I have seen, or by force (I saw a fork), unless somebody has raised it since: then theirs will do.
-- No value of the epoch was loaded longer than its age ago: 0 if it is new, else the time since this history was met; negative if
-- that is unknown. A history is entered with the time at which it was first met, in ms.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local epoch, seen = tonumber(redis.call('HGET', KEYS[1], 'e') or 0) or 0, tonumber(ARGV[2]) or 0
local met = ARGV[1] ~= '' and redis.call('HGET', KEYS[1], 'r:' .. ARGV[1])
if (ARGV[1] == '' or met) and epoch > 0 and epoch >= seen and not (ARGV[3] == '1' and epoch == seen) then
  return {string.format('%d', epoch), now - (tonumber(met or '') or now + 1)}
end
local raised = string.format('%d', math.max(now, epoch + 1, seen + 1))
redis.call('HSET', KEYS[1], 'e', raised)
if ARGV[1] ~= '' then redis.call('HSET', KEYS[1], 'r:' .. ARGV[1], string.format('%d', now)) end
return {raised, 0}

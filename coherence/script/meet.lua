-- MEET  bus  identity (run_id:master_replid, '' unknown), highest epoch ever seen here ('0' none), force 0/1
-- The epoch to use, a string. It is a new and higher one if this Redis history is unknown to the bus, if the epoch is missing or
-- below what I have seen, or by force (I saw a fork), unless somebody has raised it since: then theirs will do.
-- A history is entered with the time at which it was first met, in ms.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local epoch, seen = tonumber(redis.call('HGET', KEYS[1], 'e') or 0) or 0, tonumber(ARGV[2]) or 0
local met = ARGV[1] == '' or redis.call('HEXISTS', KEYS[1], 'r:' .. ARGV[1]) == 1
if met and epoch > 0 and epoch >= seen and not (ARGV[3] == '1' and epoch == seen) then
  return string.format('%d', epoch)
end
local raised = string.format('%d', math.max(now, epoch + 1, seen + 1))
redis.call('HSET', KEYS[1], 'e', raised)
if ARGV[1] ~= '' then redis.call('HSET', KEYS[1], 'r:' .. ARGV[1], string.format('%d', now)) end
return raised

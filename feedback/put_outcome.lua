-- Appends an outcome to the log and files it under its decision, once; sent again, it returns the first one's id.
-- KEYS: log, record, open. ARGV: event, decision id, '1' if the call is given up as lost, seconds to keep a new record.
-- A real outcome that comes after all replaces a lost one. Returns false for a decision that was erased.
-- What had been filed before it, and may have been credited to another arm, is pointed at with j.
local seen = redis.call('HMGET', KEYS[2], 'd', 'o', 'l', 'x')
if seen[4] then return false end
if seen[2] and (ARGV[3] == '1' or not seen[3]) then return seen[2] end
local filed = redis.call('HLEN', KEYS[2])
local id
if filed > (seen[1] and 1 or 0) then
  id = redis.call('XADD', KEYS[1], '*', 'e', ARGV[1], 'j', '')
else
  id = redis.call('XADD', KEYS[1], '*', 'e', ARGV[1])
end
redis.call('HSET', KEYS[2], 'o', id)
if ARGV[3] == '1' then redis.call('HSET', KEYS[2], 'l', '') else redis.call('HDEL', KEYS[2], 'l') end
if filed == 0 then redis.call('EXPIRE', KEYS[2], ARGV[4]) end
redis.call('ZREM', KEYS[3], ARGV[2])
return id

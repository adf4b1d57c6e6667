-- Appends a decision to the log and opens its record, once; sent again, it returns the first one's id.
-- KEYS: log, record, open. ARGV: event, decision id, seconds since the epoch, seconds to keep the record.
-- Returns false for a decision that was erased. What was filed before it is pointed at with j.
local seen = redis.call('HMGET', KEYS[2], 'd', 'o', 'x')
if seen[3] then return false end
if seen[1] then return seen[1] end
local id
if redis.call('EXISTS', KEYS[2]) == 1 then
  id = redis.call('XADD', KEYS[1], '*', 'e', ARGV[1], 'j', '')
else
  id = redis.call('XADD', KEYS[1], '*', 'e', ARGV[1])
end
redis.call('HSET', KEYS[2], 'd', id)
redis.call('EXPIRE', KEYS[2], ARGV[4])
if not seen[2] then redis.call('ZADD', KEYS[3], ARGV[3], ARGV[2]) end
return id

-- Appends feedback to the log and files it in its decision's record, once; sent again, it returns the first one's id.
-- KEYS: log, record. ARGV: event, the feedback's own id, seconds to keep a new record.
-- Its decision may still be on its way: it is filed all the same. Returns false for a decision that was erased.
local field = 'f:' .. ARGV[2]
local seen = redis.call('HMGET', KEYS[2], 'x', field)
if seen[1] then return false end
if seen[2] then return string.match(seen[2], '^%S+') end
local new = redis.call('EXISTS', KEYS[2]) == 0
local id = redis.call('XADD', KEYS[1], '*', 'e', ARGV[1])
redis.call('HSET', KEYS[2], field, id .. ' ' .. ARGV[1])
if new then redis.call('EXPIRE', KEYS[2], ARGV[3]) end
return id

-- Appends feedback to the log and files it under its event id. KEYS: log, record. ARGV: event.
-- Returns false, with nothing written, where the decision is unknown or its record has expired.
if not redis.call('HGET', KEYS[2], 'd') then return false end
local id = redis.call('XADD', KEYS[1], '*', 'e', ARGV[1])
redis.call('HSET', KEYS[2], 'f:' .. id, ARGV[1])
return id

-- Appends an outcome to the log and files it under its decision, once. KEYS: log, record. ARGV: event.
-- A decision whose record never came into being (or has expired) leaves the outcome on the log alone.
local known = redis.call('HGET', KEYS[2], 'o')
if known then return known end
local id = redis.call('XADD', KEYS[1], '*', 'e', ARGV[1])
if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('HSET', KEYS[2], 'o', id) end
return id

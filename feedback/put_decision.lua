-- Appends a decision to the log and opens its record, once. KEYS: log, record. ARGV: event, seconds to keep the record.
local known = redis.call('HGET', KEYS[2], 'd')
if known then return known end
local id = redis.call('XADD', KEYS[1], '*', 'e', ARGV[1])
redis.call('HSET', KEYS[2], 'd', id)
redis.call('EXPIRE', KEYS[2], ARGV[2])
return id

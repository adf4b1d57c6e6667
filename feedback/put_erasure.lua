-- Appends the erasure of a decision to the log and marks its record: from here on it takes nothing more. Once.
-- KEYS: log, record, open. ARGV: event, decision id, seconds to keep the record, fields of an archived decision.
-- Returns the id of the erasure's event.
local seen = redis.call('HGET', KEYS[2], 'x')
if seen then return seen end
for i = 4, #ARGV, 2 do redis.call('HSETNX', KEYS[2], ARGV[i], ARGV[i + 1]) end
local id = redis.call('XADD', KEYS[1], '*', 'e', ARGV[1])
redis.call('HSET', KEYS[2], 'x', id)
redis.call('EXPIRE', KEYS[2], ARGV[3])
redis.call('ZREM', KEYS[3], ARGV[2])
return id

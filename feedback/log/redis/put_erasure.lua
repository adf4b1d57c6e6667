-- Appends the erasure of a decision, or of some feedback on it, to the log and marks its record.
-- KEYS: log, record, open. ARGV: event, decision id, seconds to keep a new record, how many ids of feedback, these ids,
-- then names and values of the record's fields for a record that has expired.
-- Erased as a whole, a decision takes nothing more: once. Returns the id of the erasure's event.
local count = tonumber(ARGV[4])
local seen = redis.call('HGET', KEYS[2], 'x')
if seen then return seen end
if redis.call('HEXISTS', KEYS[2], 'd') == 0 then
  for i = 5 + count, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
end
local id = redis.call('XADD', KEYS[1], '*', 'e', ARGV[1])
for i = 5, 4 + count do redis.call('HSETNX', KEYS[2], 'y:' .. ARGV[i], id) end
if count == 0 then
  redis.call('HSET', KEYS[2], 'x', id)
  redis.call('ZREM', KEYS[3], ARGV[2])
end
if redis.call('TTL', KEYS[2]) < 0 then redis.call('EXPIRE', KEYS[2], ARGV[3]) end
return id

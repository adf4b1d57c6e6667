-- Removes an erased decision's events from the log and empties its record, all at once; the mark of the erasure stays.
-- KEYS: log, record. ARGV: ids of events. Returns how many were on the log.
local erased, left = redis.call('HGET', KEYS[2], 'x'), redis.call('TTL', KEYS[2])
redis.call('DEL', KEYS[2])
if erased then
  redis.call('HSET', KEYS[2], 'x', erased)
  if left > 0 then redis.call('EXPIRE', KEYS[2], left) end
end
return redis.call('XDEL', KEYS[1], unpack(ARGV))

-- Takes erased events off the log and out of their decision's record, all at once; the mark of an erasure stays.
-- KEYS: log, record. ARGV: how many ids of feedback, these ids (none: the whole decision), then ids of events.
-- Returns how many events were on the log.
local count = tonumber(ARGV[1])
for i = 2, 1 + count do redis.call('HDEL', KEYS[2], 'f:' .. ARGV[i]) end  -- y: stays: sent again, it is refused
local erased, left = redis.call('HGET', KEYS[2], 'x'), redis.call('TTL', KEYS[2])
if count == 0 or redis.call('HEXISTS', KEYS[2], 'D') == 1 then redis.call('DEL', KEYS[2]) end
if erased then
  redis.call('HSET', KEYS[2], 'x', erased)
  if left > 0 then redis.call('EXPIRE', KEYS[2], left) end
end
local gone = 0
for i = 2 + count, #ARGV do gone = gone + redis.call('XDEL', KEYS[1], ARGV[i]) end
return gone

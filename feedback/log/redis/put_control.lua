-- Appends control events to the log, unless somebody else has changed what is in force meanwhile.
-- KEYS: log, what is in force. ARGV: what was in force, what is now, events.
-- Returns the ids, or false with nothing written.
if (redis.call('GET', KEYS[2]) or '') ~= ARGV[1] then return false end
redis.call('SET', KEYS[2], ARGV[2])
local ids = {}
for i = 3, #ARGV do ids[#ids + 1] = redis.call('XADD', KEYS[1], '*', 'e', ARGV[i]) end
return ids

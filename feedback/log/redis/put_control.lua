-- Appends control events to the log, unless somebody else has changed what is in force meanwhile.
-- KEYS: log, then what is in force, one or more keys. ARGV: for each of those what was there and what is now, events.
-- Returns the ids, or false with nothing written.
for i = 2, #KEYS do
    if (redis.call('GET', KEYS[i]) or '') ~= ARGV[2 * i - 3] then return false end
end
for i = 2, #KEYS do redis.call('SET', KEYS[i], ARGV[2 * i - 2]) end
local ids = {}
for i = 2 * #KEYS - 1, #ARGV do ids[#ids + 1] = redis.call('XADD', KEYS[1], '*', 'e', ARGV[i]) end
return ids

-- Takes or keeps the learner's lease. KEYS: lease, epoch. ARGV: holder, milliseconds to hold.
-- Returns the epoch that fences the holder's publications, or false while somebody else holds it.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return false end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if not holder then redis.call('INCR', KEYS[2]) end
return redis.call('GET', KEYS[2])

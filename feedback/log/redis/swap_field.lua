-- Gives a field of a hash another value, unless somebody has changed it meanwhile.
-- KEYS: hash. ARGV: field, what it was, what it is. Returns whether it was that.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1

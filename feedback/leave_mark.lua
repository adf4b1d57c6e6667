-- Leaves a writer's mark behind what it has written. KEYS: mark. ARGV: the mark, seconds to keep it.
-- Returns the mark found there.
local found = redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return found

-- Publishes learned state, if the publisher's lease is still the newest one.
-- KEYS: epoch, policy. ARGV: epoch, channel, position, tally, policy or '' where it is unchanged.
-- Returns the new version, or false for a publisher whose lease somebody else has taken.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return false end
redis.call('HSET', KEYS[2], 'position', ARGV[3], 'tally', ARGV[4])
if ARGV[5] ~= '' then redis.call('HSET', KEYS[2], 'policy', ARGV[5]) end
local version = redis.call('HINCRBY', KEYS[2], 'version', 1)
redis.call('PUBLISH', ARGV[2], version)
return version

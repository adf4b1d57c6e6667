-- The column of a level of a tag: the one it has, or the next that is free. -1: there is none left.
-- KEYS: the levels of one tenant's tag. ARGV: the level's digest, how many columns there are.
local place = redis.call('HGET', KEYS[1], ARGV[1])
if place then
    return tonumber(place)
end
local taken = redis.call('HLEN', KEYS[1])
if taken >= tonumber(ARGV[2]) then
    return -1
end
redis.call('HSET', KEYS[1], ARGV[1], taken)
return taken

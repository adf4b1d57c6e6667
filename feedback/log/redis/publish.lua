-- Publishes learned state, if the publisher's lease is still the newest and the log still holds what was folded.
-- KEYS: epoch, policy, versions, about, lineages, log.
-- ARGV: epoch, channel, lineage, position, tally, rollbacks, holder, at, policy or '' where unchanged, about or '', anchored,
-- digest of the policy, score and verdict or ''. An unchanged policy must be the one that is here. What is said of it names the version it was said
-- with: publishers of earlier releases change the policy and say nothing.
-- With `about` the version is kept for a later rollback. Returns the new version, or false with nothing written.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return false end
if ARGV[11] == '1' and #redis.call('XRANGE', KEYS[6], ARGV[4], ARGV[4]) == 0 then return false end
if ARGV[9] == '' then
  local said = (redis.call('HGET', KEYS[2], 'version') or '') .. ' ' .. ARGV[12]
  if redis.call('HGET', KEYS[2], 'policy_digest') ~= said then return false end
end
redis.call('HSET', KEYS[2], 'position', ARGV[4], 'tally', ARGV[5], 'rollbacks', ARGV[6], 'holder', ARGV[7], 'at', ARGV[8])
if ARGV[9] ~= '' then redis.call('HSET', KEYS[2], 'policy', ARGV[9]) end
if ARGV[13] ~= '' then redis.call('HSET', KEYS[2], 'score', ARGV[13], 'verdict', ARGV[14]) end
if not tonumber(redis.call('HGET', KEYS[2], 'version') or 0) then redis.call('HDEL', KEYS[2], 'version') end
local version = redis.call('HINCRBY', KEYS[2], 'version', 1)
redis.call('HSET', KEYS[2], 'policy_digest', version .. ' ' .. ARGV[12])
redis.call('SADD', KEYS[5], ARGV[3])
if ARGV[10] ~= '' then
  redis.call('HSET', KEYS[3], version, cmsgpack.pack(redis.call('HGETALL', KEYS[2])))
  redis.call('HSET', KEYS[4], version, ARGV[10])
end
redis.call('PUBLISH', ARGV[2], version .. ' ' .. ARGV[7])
return version

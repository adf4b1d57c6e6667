-- Weighs a statement by what its key and its person weigh beside all others of the tenant, and keeps account of it: as
-- `InfluenceLimiter` does, for all processes at once. A sum is a hash: w, its weight at the time at; it fades by halves.
-- KEYS: the tenant's sum, then those of whoever has a share. ARGV: seconds since the epoch, the half-life in seconds,
-- the weight that anybody may have, seconds to keep a sum, then the share of each.
-- Returns what the statement weighs, in [0, 1].
local at, half_life_s, grace = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local sums, weight = {}, 1

for k, key in ipairs(KEYS) do
  local seen = redis.call('HMGET', key, 'w', 'at')
  local since = tonumber(seen[2] or at)
  sums[k] = {weight = tonumber(seen[1] or 0) * 0.5 ^ (math.max(at - since, 0) / half_life_s), at = math.max(at, since)}
end
for k = 2, #KEYS do
  local share, own = tonumber(ARGV[3 + k]), sums[k].weight
  local others = math.max(sums[1].weight - own, 0)
  weight = math.min(weight, math.max(math.max(grace, share / (1 - share) * others) - own, 0))
end
for k, key in ipairs(KEYS) do
  redis.call('HSET', key, 'w', string.format('%.17g', sums[k].weight + weight), 'at', string.format('%.17g', sums[k].at))
  redis.call('EXPIRE', key, ARGV[4])
end
return string.format('%.17g', weight)

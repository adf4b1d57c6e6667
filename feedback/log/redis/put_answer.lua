-- Stores an answer, unless there is one under its key, and the row by which it is found; what is too old or too much goes.
-- KEYS: the answer, all rows, the key of the answer given on a decision, the answers of a person.
-- ARGV: the answer, its key's last part, its group, its vector, seconds it is kept, how many are, seconds since the epoch,
-- what keys of answers begin with, whether there is a decision and a person (1 or 0). Returns 1 where it was stored, or 0.
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'EX', ARGV[5]) then return 0 end
local oldest = tonumber(ARGV[7]) - tonumber(ARGV[5])
redis.call('XADD', KEYS[2], '*', 'k', ARGV[2], 'g', ARGV[3], 'v', ARGV[4])
redis.call('XTRIM', KEYS[2], 'MINID', '=', string.format('%.0f', math.max(oldest, 0) * 1000))
redis.call('EXPIRE', KEYS[2], ARGV[5])
if ARGV[9] == '1' then redis.call('SET', KEYS[3], ARGV[2], 'EX', ARGV[5]) end
if ARGV[10] == '1' then
  for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', oldest)) do redis.call('ZREM', KEYS[4], gone) end
  redis.call('ZADD', KEYS[4], ARGV[7], ARGV[2])
  redis.call('EXPIRE', KEYS[4], ARGV[5])
end
local surplus = redis.call('XLEN', KEYS[2]) - tonumber(ARGV[6])
if surplus > 0 then
  for _, row in ipairs(redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', surplus)) do
    redis.call('DEL', ARGV[8] .. row[2][2])
    redis.call('XDEL', KEYS[2], row[1])
  end
end
return 1

-- Gives the learner's lease up, if the holder has it. KEYS: lease. ARGV: holder. Returns whether it had.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])

-- Takes the learner's lease from whoever has it. KEYS: lease, epoch. ARGV: holder, milliseconds to hold.
-- Returns the new epoch: what was published under older ones stays, what comes under them is refused.
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('INCR', KEYS[2])
return redis.call('GET', KEYS[2])

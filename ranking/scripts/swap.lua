-- The end of a rebuild: what was built becomes what is read, at once.
--
-- KEYS  building, ranks_next, rows_next, ranks, rows, ready, marks, version
-- ARGV  step expected, then shard, mark for each shard
-- Gives 1, or 0 where the step is not the one expected.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
    return 0
end
redis.call('UNLINK', KEYS[4], KEYS[5], KEYS[7])
if redis.call('EXISTS', KEYS[2]) == 1 then
    redis.call('RENAME', KEYS[2], KEYS[4])
    redis.call('RENAME', KEYS[3], KEYS[5])
end
for i = 2, #ARGV, 2 do
    redis.call('HSET', KEYS[7], ARGV[i], ARGV[i + 1])
end
redis.call('SET', KEYS[6], '1')
-- The next reader of the top takes a new number: this is another state than whatever was told before.
redis.call('HDEL', KEYS[8], 'run')
redis.call('DEL', KEYS[1])
return 1

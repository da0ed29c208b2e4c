-- One step of a rebuild, into the keys beside the live ones.
--
-- KEYS  building, ranks_next, rows_next
-- ARGV  step expected, step to set, milliseconds until another may take over, then member, score, packed for each row
-- Gives 1, or 0 where the step is not the one expected: Redis lost writes, or another process took over.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
    return 0
end
for i = 4, #ARGV, 3 do
    local old = redis.call('HGET', KEYS[3], ARGV[i])
    if not old or struct.unpack('>d', old) < struct.unpack('>d', ARGV[i + 2]) then
        redis.call('ZADD', KEYS[2], ARGV[i + 1], ARGV[i])
        redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 2])
    end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1

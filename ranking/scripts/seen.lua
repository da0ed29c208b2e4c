-- Remember submission ids in Bloom filters, one for each day that ids carry, and tell which were there before.
--
-- KEYS  the filters
-- ARGV  seconds for which a filter is kept, then for each id: the index of its filter in KEYS, and three bit offsets
-- Gives 1 for an id that may have been here before, 0 for one that was certainly not.
local answer = {}
for i = 2, #ARGV, 4 do
    local before = redis.call(
        'BITFIELD', KEYS[tonumber(ARGV[i])],
        'SET', 'u1', ARGV[i + 1], 1, 'SET', 'u1', ARGV[i + 2], 1, 'SET', 'u1', ARGV[i + 3], 1
    )
    answer[#answer + 1] = before[1] * before[2] * before[3]
end
for i = 1, #KEYS do
    if redis.call('TTL', KEYS[i]) == -1 then
        redis.call('EXPIRE', KEYS[i], ARGV[1])
    end
end
return answer

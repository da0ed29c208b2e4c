-- Remember submission ids in Bloom filters, one for each day that ids carry, and tell which were there before.
--
-- KEYS  the filters
-- ARGV  seconds for which a filter is kept, then for each id: the index of its filter in KEYS, and three bit offsets
-- Gives 1 for an id that may have been here before, 0 for one that was certainly not.
local answer = {}
for i = 2, #ARGV, 4 do
    local filter = KEYS[tonumber(ARGV[i])]
    local known = 1
    for j = i + 1, i + 3 do
        if redis.call('SETBIT', filter, ARGV[j], 1) == 0 then
            known = 0
        end
    end
    answer[#answer + 1] = known
end
for i = 1, #KEYS do
    if redis.call('TTL', KEYS[i]) == -1 then
        redis.call('EXPIRE', KEYS[i], ARGV[1])
    end
end
return answer

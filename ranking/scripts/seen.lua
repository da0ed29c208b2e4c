-- Remember submission ids in Bloom filters, one for each day that ids carry, and tell which were there before.
--
-- KEYS  the filters
-- ARGV  seconds for which a filter is kept, its size in bits, then for each filter a string of digests, 12 bytes an id:
--       three numbers that make the offsets
-- Gives for each filter a string with a character an id: 1 for one that may have been here before, 0 for one that was
-- certainly not.
local answer = {}
local bits = tonumber(ARGV[2])
for i = 1, #KEYS do
    local digests = ARGV[i + 2]
    local known = {}
    for position = 1, #digests, 12 do
        local a, b, c = struct.unpack('>I4I4I4', digests, position)
        local before = redis.call(
            'BITFIELD', KEYS[i], 'SET', 'u1', a % bits, 1, 'SET', 'u1', b % bits, 1, 'SET', 'u1', c % bits, 1
        )
        known[#known + 1] = before[1] * before[2] * before[3]
    end
    answer[i] = table.concat(known)
    if redis.call('TTL', KEYS[i]) == -1 then
        redis.call('EXPIRE', KEYS[i], ARGV[1])
    end
end
return answer

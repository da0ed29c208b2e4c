-- Take over rows of a board and tell ranks, in one round trip.
--
-- KEYS  ranks, rows, ready, version, building, ranks_next, rows_next
-- ARGV  number of rows; member, score, packed for each row; then member, score for each rank asked for
-- Gives {ready, players, changed, better, better, …}: how many players have a better total, the member itself left out.
--
-- An older or equal revision never overwrites a newer, so updates may arrive in any order and any number of times.
local function apply(ranks, rows, member, score, packed)
    local old = redis.call('HGET', rows, member)
    if old and struct.unpack('>d', old) >= struct.unpack('>d', packed) then
        return 0
    end
    redis.call('ZADD', ranks, score, member)
    redis.call('HSET', rows, member, packed)
    return 1
end

local ready = redis.call('EXISTS', KEYS[3])
local building = redis.call('EXISTS', KEYS[5]) == 1
local rows_end = 1 + 3 * tonumber(ARGV[1])
local changed = 0
for i = 2, rows_end, 3 do
    if ready == 1 then
        changed = changed + apply(KEYS[1], KEYS[2], ARGV[i], ARGV[i + 1], ARGV[i + 2])
    end
    if building then
        apply(KEYS[6], KEYS[7], ARGV[i], ARGV[i + 1], ARGV[i + 2])
    end
end
if ready == 0 then
    return {0, 0, 0}
end
if changed > 0 then
    redis.call('HINCRBY', KEYS[4], 'sequence', 1)
end
local answer = {1, redis.call('ZCARD', KEYS[1]), changed}
for i = rows_end + 1, #ARGV, 2 do
    local better = redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. ARGV[i + 1])
    local own = redis.call('ZSCORE', KEYS[1], ARGV[i])
    if own and tonumber(own) < tonumber(ARGV[i + 1]) then
        better = better - 1
    end
    answer[#answer + 1] = better
end
return answer

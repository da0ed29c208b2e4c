-- Standings of single players.
--
-- KEYS  ranks, rows, ready
-- ARGV  member, …
-- Gives {ready, players, then score, packed, better for each member; false, false, false where there is none}.
if redis.call('EXISTS', KEYS[3]) == 0 then
    return {0, 0}
end
local answer = {1, redis.call('ZCARD', KEYS[1])}
for i = 1, #ARGV do
    local n = #answer
    local score = redis.call('ZSCORE', KEYS[1], ARGV[i])
    if score then
        answer[n + 1] = score
        answer[n + 2] = redis.call('HGET', KEYS[2], ARGV[i])
        answer[n + 3] = redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. score)
    else
        answer[n + 1] = false
        answer[n + 2] = false
        answer[n + 3] = false
    end
end
return answer

-- The first standings of a board and the number of that state.
--
-- KEYS  ranks, rows, ready, version
-- ARGV  count, the highest number that the caller saw, 1 where it has the standings of that number at hand
-- Gives {ready, sequence, players, then member, score, packed for each}; only {1, sequence} where the caller has them.
--
-- apply.lua counts the number up with each change. It holds for the run of the server that is written beside it: a
-- server that started anew, or took over from another, may lack what the other told under the same number. Then, after
-- a rebuild (swap.lua), and where the caller saw a higher number than there is, a new one is taken from the clock,
-- which is ahead of any count.
if redis.call('EXISTS', KEYS[3]) == 0 then
    return {0, 0}
end
local info = redis.pcall('INFO', 'server')
-- Where INFO is forbidden, what callers saw is all that tells.
local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or 'unknown'
local version = redis.call('HMGET', KEYS[4], 'sequence', 'run')
local sequence = tonumber(version[1] or 0)
local known = tonumber(ARGV[2])
if version[2] ~= run or sequence < known then
    local now = redis.call('TIME')
    sequence = math.max(sequence + 1, known + 1, now[1] * 1000000 + now[2])
    redis.call('HSET', KEYS[4], 'sequence', string.format('%.0f', sequence), 'run', run)
elseif sequence == known and ARGV[3] == '1' then
    return {1, sequence}
end

local answer = {1, sequence, redis.call('ZCARD', KEYS[1])}
local scores = redis.call('ZRANGE', KEYS[1], 0, ARGV[1] - 1, 'WITHSCORES')
if #scores == 0 then
    return answer
end
local members = {}
for i = 1, #scores, 2 do
    members[#members + 1] = scores[i]
end
local packed = redis.call('HMGET', KEYS[2], unpack(members))
for i = 1, #members do
    answer[#answer + 1] = members[i]
    answer[#answer + 1] = scores[2 * i]
    answer[#answer + 1] = packed[i]
end
return answer

-- Which of the rows that a shard changed are not here yet; where none is missing, the shard's mark moves on.
--
-- KEYS  rows, ready, marks
-- ARGV  shard, mark expected, mark to set, then a string of (member, revision as double), 16 bytes each
-- Gives {1, index, …} (from 0) of the rows that are behind, or {0} where the mark is not the one expected: Redis lost
-- writes since this pass began, or another relay was faster. Only what is written in order can be lost, newest first,
-- so a mark that is there proves that all that was written before it is there.
local mark = redis.call('HGET', KEYS[3], ARGV[1]) or '0'
if redis.call('EXISTS', KEYS[2]) == 0 or mark ~= ARGV[2] then
    return {0}
end
local answer = {1}
local changed = ARGV[4]
for position = 1, #changed, 16 do
    local member = string.sub(changed, position, position + 7)
    local packed = redis.call('HGET', KEYS[1], member)
    if not packed or struct.unpack('>d', packed) < struct.unpack('>d', changed, position + 8) then
        answer[#answer + 1] = (position - 1) / 16
    end
end
if #answer == 1 and ARGV[3] ~= mark then
    redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
end
return answer

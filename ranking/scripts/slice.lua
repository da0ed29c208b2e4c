-- A run of standings: from a place in the order, or around one player.
--
-- KEYS  ranks, rows, ready
-- ARGV  'after', count, score, member (score '' for the start), or 'around', radius, member
-- Gives {ready, players, position, better, then member, score, packed for each}: how many standings stand before the
-- first one, and how many have a better total than it. position −1: the player has no standing.
if redis.call('EXISTS', KEYS[3]) == 0 then
    return {0, 0, 0, 0}
end
local ranks, rows = KEYS[1], KEYS[2]

-- Whether the member at an index stands after the one given, by bytes: `<` on strings would ask the locale.
local function is_after(index, high, low)
    local other_high, other_low = struct.unpack('>I4I4', redis.call('ZRANGE', ranks, index, index)[1])
    return other_high > high or (other_high == high and other_low > low)
end

-- The index of the first standing behind (score, member), whether or not that one is still there.
local function index_after(score, member)
    local low = redis.call('ZCOUNT', ranks, '-inf', '(' .. score)
    local high = low + redis.call('ZCOUNT', ranks, score, score)
    local member_high, member_low = struct.unpack('>I4I4', member)
    while low < high do
        local middle = math.floor((low + high) / 2)
        if is_after(middle, member_high, member_low) then
            high = middle
        else
            low = middle + 1
        end
    end
    return low
end

local players = redis.call('ZCARD', ranks)
local first, last
if ARGV[1] == 'around' then
    local index = redis.call('ZRANK', ranks, ARGV[3])
    if not index then
        return {1, players, -1, 0}
    end
    first = math.max(0, index - tonumber(ARGV[2]))
    last = index + tonumber(ARGV[2])
else
    first = 0
    if ARGV[3] ~= '' then
        first = index_after(ARGV[3], ARGV[4])
    end
    last = first + tonumber(ARGV[2]) - 1
end

local answer = {1, players, first, 0}
local run = redis.call('ZRANGE', ranks, first, last, 'WITHSCORES')
if #run == 0 then
    return answer
end
answer[4] = redis.call('ZCOUNT', ranks, '-inf', '(' .. run[2])
local members = {}
for i = 1, #run, 2 do
    members[#members + 1] = run[i]
end
local packed = redis.call('HMGET', rows, unpack(members))
for i = 1, #members do
    answer[#answer + 1] = members[i]
    answer[#answer + 1] = run[2 * i]
    answer[#answer + 1] = packed[i]
end
return answer

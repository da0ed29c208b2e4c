-- Remember submission ids in Bloom filters, one for each day that ids carry, and tell which were there before.
--
-- KEYS  life, then the filters
-- ARGV  seconds for which a filter is kept, its size in bits, milliseconds by which an id may be ahead of the clock;
--       'none' where no id was ever used, 'lost' where the caller knows of some that are told to nobody, '' else; then
--       for each filter a string of digests, 12 bytes an id: three numbers that make the offsets
-- Gives {since, then for each filter a string with a character an id}: 1 for one that may have been here before, 0 for
-- one that was not. Of ids up to `since`, in milliseconds since 1970, nothing is known: a server that started anew, or
-- took over from another, may lack what the other was told, and so does one that was emptied.
local info = redis.pcall('INFO', 'server')
-- Where INFO is forbidden, an emptied server alone is found out.
local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or 'unknown'
local life = redis.call('HMGET', KEYS[1], 'run', 'since')
local since = life[2]
if ARGV[4] == 'none' then
    since = '0'
elseif life[1] ~= run or ARGV[4] == 'lost' then
    local now = redis.call('TIME')
    since = string.format('%.0f', now[1] * 1000 + math.ceil(now[2] / 1000) + ARGV[3])
end
if life[1] ~= run or life[2] ~= since then
    redis.call('HSET', KEYS[1], 'run', run, 'since', since)
end

local answer = {since}
local bits = tonumber(ARGV[2])
for i = 2, #KEYS do
    local digests = ARGV[i + 3]
    local known = {}
    for position = 1, #digests, 12 do
        local a, b, c = struct.unpack('>I4I4I4', digests, position)
        local before = redis.call(
            'BITFIELD', KEYS[i], 'SET', 'u1', a % bits, 1, 'SET', 'u1', b % bits, 1, 'SET', 'u1', c % bits, 1
        )
        known[#known + 1] = before[1] * before[2] * before[3]
    end
    answer[#answer + 1] = table.concat(known)
    if redis.call('TTL', KEYS[i]) == -1 then
        redis.call('EXPIRE', KEYS[i], ARGV[1])
    end
end
return answer

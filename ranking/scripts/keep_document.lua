-- Keep the text of a document; those that were asked for longest ago go where there are too many.
-- KEYS: texts, used. ARGV: the document's id, its text, how many are kept, for how many seconds after the last one.
redis.call('hset', KEYS[1], ARGV[1], ARGV[2])
redis.call('zadd', KEYS[2], redis.call('time')[1], ARGV[1])
local over = redis.call('zcard', KEYS[2]) - tonumber(ARGV[3])
if over > 0 then
    local gone = redis.call('zrange', KEYS[2], 0, over - 1)
    redis.call('zrem', KEYS[2], unpack(gone))
    redis.call('hdel', KEYS[1], unpack(gone))
end
redis.call('expire', KEYS[1], ARGV[4])
redis.call('expire', KEYS[2], ARGV[4])
return over

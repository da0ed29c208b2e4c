-- The text of a kept document, which counts as used now; false where it is not kept.
-- KEYS: texts, used. ARGV: the document's id.
local text = redis.call('hget', KEYS[1], ARGV[1])
if text then
    redis.call('zadd', KEYS[2], redis.call('time')[1], ARGV[1])
end
return text

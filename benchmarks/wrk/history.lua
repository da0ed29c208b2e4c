-- history: the newest 20 sessions of random players.
dofile("common.lua")
local ids = load_players()

local before = '{"query":"query History($userId: ID!, $first: Int!) { history(userId: $userId, first: $first) '
  .. '{ nodes { id score gameMode durationSeconds playedAt } pageInfo { hasNextPage endCursor } totalCount } }",'
  .. '"variables":{"first":20,"userId":"'

function request()
  return post(before .. ids[math.random(#ids)] .. '"}}')
end

-- rank: of random players.
dofile("common.lua")
local ids = load_players()

local before = '{"query":"query Rank($userId: ID!) { rank(userId: $userId) '
  .. '{ rank userId username totalScore gamesPlayed } }","variables":{"userId":"'

function request()
  return post(before .. ids[math.random(#ids)] .. '"}}')
end

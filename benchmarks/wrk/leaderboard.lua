-- leaderboard: the top 10.
dofile("common.lua")

local body = '{"query":"query Top($first: Int!) { leaderboard(first: $first) '
  .. '{ nodes { rank userId username totalScore gamesPlayed } totalCount } }","variables":{"first":10}}'

function request()
  return post(body)
end

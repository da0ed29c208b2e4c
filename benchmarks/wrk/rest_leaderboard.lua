-- GET /api/leaderboard: the top 10.
dofile("common.lua")

function request()
  return get("/api/leaderboard?limit=10")
end

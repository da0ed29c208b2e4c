-- GET /api/users/{user_id}/history: the newest 20 sessions of random players.
dofile("common.lua")
local ids = load_players()

function request()
  return get("/api/users/" .. ids[math.random(#ids)] .. "/history?limit=20")
end

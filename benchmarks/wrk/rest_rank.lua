-- GET /api/users/{user_id}/rank: of random players.
dofile("common.lua")
local ids = load_players()

function request()
  return get("/api/users/" .. ids[math.random(#ids)] .. "/rank")
end

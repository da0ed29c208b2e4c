-- POST /api/scores: one session a request.
dofile("common.lua")
dofile("session.lua")

function request()
  return post(make_rest_session(), "/api/scores")
end

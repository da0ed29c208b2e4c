-- submitScores: 100 sessions a request.
dofile("common.lua")
dofile("session.lua")

local before = '{"query":"mutation SubmitMany($inputs: [SubmitScoreInput!]!) { submitScores(inputs: $inputs) '
  .. '{ payload { duplicate standing { rank totalScore } } error { code message } } }","variables":{"inputs":['

function request()
  local sessions = {}
  for i = 1, 100 do sessions[i] = make_session() end
  return post(before .. table.concat(sessions, ",") .. "]}}")
end

-- One played session of a random player, as the JSON of a SubmitScoreInput or of what POST /api/scores takes.
local ids, names = load_players()
local modes = { "solo", "duo", "squad", "ranked" }

function make_session()
  local i = math.random(#ids)
  return '{"userId":"' .. ids[i] .. '","username":"' .. names[i]
    .. '","score":' .. math.random(0, 1000)
    .. ',"gameMode":"' .. modes[math.random(4)]
    .. '","durationSeconds":' .. math.random(30, 1800)
    .. ',"submissionId":"' .. uuid7() .. '"}'
end

function make_rest_session()
  local i = math.random(#ids)
  return '{"user_id":' .. ids[i] .. ',"username":"' .. names[i]
    .. '","score":' .. math.random(0, 1000)
    .. ',"game_mode":"' .. modes[math.random(4)]
    .. '","duration_seconds":' .. math.random(30, 1800)
    .. ',"submission_id":"' .. uuid7() .. '"}'
end

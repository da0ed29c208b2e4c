-- What all scripts share. Run by wrk with this directory as the working directory; told by the environment:
-- BENCH_KEY (sent as a bearer token), BENCH_PLAYERS (a file with a line `id TAB name, JSON-escaped` a player),
-- BENCH_CHECK (set: every answer is looked at, which slows wrk, so it is for the warm-up alone), BENCH_RANKLESS (set:
-- writes do not ask for the new rank).

-- Each thread of wrk has a Lua state of its own and would draw the same numbers as the others.
local function seed()
  local source = assert(io.open("/dev/urandom", "rb"))
  local a, b, c, d, e, f = source:read(6):byte(1, 6)
  source:close()
  math.randomseed(((((a * 256 + b) * 256 + c) * 256 + d) * 256 + e) * 256 + f)
end
seed()

function load_players()
  local ids, names = {}, {}
  for line in io.lines(assert(os.getenv("BENCH_PLAYERS"))) do
    local id, name = line:match("^([^\t]+)\t(.*)$")
    ids[#ids + 1], names[#names + 1] = id, name
  end
  return ids, names
end

-- A UUIDv7 as a client makes one: the milliseconds of now, 74 random bits.
function uuid7()
  local ms = os.time() * 1000 + math.random(0, 999)
  return string.format(
    "%08x-%04x-7%03x-%04x-%04x%08x",
    math.floor(ms / 65536), ms % 65536, math.random(0, 4095),
    math.random(32768, 49151), math.random(0, 65535), math.random(0, 4294967295)
  )
end

-- wrk.format sorts and joins the headers anew for each request; these join a few strings.
local common
local function common_headers()
  if not common then
    local key = os.getenv("BENCH_KEY")
    common = " HTTP/1.1\r\nHost: " .. wrk.host .. ":" .. wrk.port .. "\r\nAccept: application/json\r\n"
      .. (key and ("Authorization: Bearer " .. key .. "\r\n") or "")
  end
  return common
end

local head
function post(body, path)
  head = head or "POST " .. (path or wrk.path) .. common_headers()
    .. "Content-Type: application/json\r\nContent-Length: "
  return head .. #body .. "\r\n\r\n" .. body
end

function get(path)
  return "GET " .. path .. common_headers() .. "\r\n"
end

failed, checked, first_failure = 0, 0, ""
if os.getenv("BENCH_CHECK") then
  function response(status, _, body)
    checked = checked + 1
    local wrong = status ~= 200
      or body:find('"errors"', 1, true)
      or body:find('"error":{', 1, true)
      or body:find('"data":null', 1, true)
    if wrong then
      failed = failed + 1
      if failed == 1 then first_failure = status .. " " .. body:sub(1, 300) end
    end
  end
end

local threads = {}
function setup(thread)
  threads[#threads + 1] = thread
end

-- One line for benchmarks/load.py, after wrk's own report.
function done(summary, latency)
  local wrong, looked_at, example = 0, 0, ""
  for _, thread in ipairs(threads) do
    wrong = wrong + thread:get("failed")
    looked_at = looked_at + thread:get("checked")
    if example == "" then example = thread:get("first_failure") end
  end
  local errors = summary.errors
  io.write(string.format(
    "measured\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n",
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.timeout, errors.status,
    looked_at, wrong, (example:gsub("%s+", " "))
  ))
end

-- Posts images in turn and says as one line of JSON what came of it.
-- usage: wrk ... -s post.lua URL -- multipart|raw FILE...
local requests, turn = {}, 0

local function body_of(form, path)
  local file = assert(io.open(path, "rb"))
  local data = file:read("*a")
  file:close()
  local type = path:match("%.jpg$") and "image/jpeg" or "image/png"
  if form == "raw" then
    return data, type
  end
  local mark = "----benchmark7d1f9c"
  local head = '--%s\r\nContent-Disposition: form-data; name="image"; filename="%s"\r\nContent-Type: %s\r\n\r\n'
  return string.format(head, mark, path:match("[^/]+$"), type) .. data .. "\r\n--" .. mark .. "--\r\n",
    "multipart/form-data; boundary=" .. mark
end

function init(args)
  for number = 2, #args do
    local body, type = body_of(args[1], args[number])
    requests[#requests + 1] = wrk.format("POST", wrk.path, { ["Content-Type"] = type, Host = wrk.headers.Host }, body)
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"answers": %d, "microseconds": %d, "p50": %d, "p99": %d, "mean": %.1f, "not_2xx": %d, "broken": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.mean,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end

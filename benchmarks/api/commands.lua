-- wrk: each request is a command for one of many sessions, by its author's token; all are encoded beforehand.
-- Arguments: a file with lines of "session<TAB>token", the body.
local requests, count, at = {}, 0, 0

function init(args)
  local body = args[2]
  for line in io.lines(args[1]) do
    local session, token = line:match('^(%S+)\t(%S+)$')
    local headers = { ['Authorization'] = 'Bearer ' .. token, ['Content-Type'] = 'application/json' }
    count = count + 1
    requests[count] = wrk.format('POST', '/api/v1/genesis/sessions/' .. session .. '/commands', headers, body)
  end
  math.randomseed(os.time())
  at = math.random(count)
end

-- One after another in an order that jumps about: the count is no multiple of the step.
function request()
  at = (at + 389) % count
  return requests[at + 1]
end

function done(summary, latency)
  local refused = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format('\n{"requests":%d,"microseconds":%d,"refused":%d,"p50":%d,"p99":%d,"max":%d}\n',
    summary.requests, summary.duration, refused, latency:percentile(50), latency:percentile(99), latency.max))
end

-- wrk: as benchmarks/api/commands.lua, and every accepted command's id goes to a file, and so many are sent in a second.
-- Arguments: a file with lines of "session<TAB>token", the body, commands per second (0: the next when the last was answered), that file.
local ffi = require('ffi')
ffi.cdef [[
  typedef struct { long seconds; long nanoseconds; } moment;
  int clock_gettime(int clock, moment *now);
]]

local CLOCK_MONOTONIC = 1
local requests, count, at = {}, 0, 0
local now, answers = ffi.new('moment'), nil

local function milliseconds()
  ffi.C.clock_gettime(CLOCK_MONOTONIC, now)
  return tonumber(now.seconds) * 1e3 + tonumber(now.nanoseconds) / 1e6
end

-- One schedule for all connections: whichever is free takes the next place in it. A server that was too slow is caught up with.
local function schedule(rate)
  local place = nil
  return function()
    local time = milliseconds()
    place = (place or time) + 1e3 / rate
    return math.max(0, place - time)
  end
end

function init(args)
  for line in io.lines(args[1]) do
    local session, token = line:match('^(%S+)\t(%S+)$')
    local headers = { ['Authorization'] = 'Bearer ' .. token, ['Content-Type'] = 'application/json' }
    count = count + 1
    requests[count] = wrk.format('POST', '/api/v1/genesis/sessions/' .. session .. '/commands', headers, args[2])
  end
  math.randomseed(os.time())
  at = math.random(count)
  if tonumber(args[3]) > 0 then delay = schedule(tonumber(args[3])) end
  answers = assert(io.open(args[4], 'a'))
  answers:setvbuf('full', 65536)
end

function request()
  at = (at + 389) % count
  return requests[at + 1]
end

function response(status, headers, body)
  if status == 200 then answers:write(body:match('"command_id":"([^"]+)"'), '\n') end
end

function done(summary, latency)
  local refused = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format('\n{"requests":%d,"microseconds":%d,"refused":%d,"p50":%d,"p99":%d,"max":%d}\n',
    summary.requests, summary.duration, refused, latency:percentile(50), latency:percentile(99), latency.max))
end

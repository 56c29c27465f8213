-- Requests the paths after `--`, one after the other, and prints one line of JSON.
local paths, at = {}, 0

function init(args)
  for i = 0, #args do
    if args[i] and args[i]:sub(1, 1) == '/' then paths[#paths + 1] = wrk.format('GET', args[i]) end
  end
end

function request()
  at = at % #paths + 1
  return paths[at]
end

function done(summary)
  local errors = summary.errors
  io.write(string.format('{"requests":%d,"durationUs":%d,"errors":%d}\n',
    summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end

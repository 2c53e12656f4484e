-- wrk: POST the bodies named in BENCH_BODIES (one file a line) in turn, with the content type in BENCH_TYPE.
local requests, n, i = {}, 0, 0

function init(args)
  local headers = { ["Content-Type"] = os.getenv("BENCH_TYPE") }
  for name in io.lines(os.getenv("BENCH_BODIES")) do
    local file = assert(io.open(name, "rb"))
    n = n + 1
    requests[n] = wrk.format("POST", nil, headers, file:read("*a"))
    file:close()
  end
end

function request()
  i = i % n + 1
  return requests[i]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "seconds": %f, "refused": %d, "lost": %d, "p50_ms": %f, "p99_ms": %f}\n',
    summary.requests, summary.duration / 1e6,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end

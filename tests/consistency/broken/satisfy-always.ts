import { replaceScript } from './replace-script.ts'

/** A check of tokens to which every watermark has seen everything. */
replaceScript(
  'cachePoll',
  () => `
    local time = redis.call('TIME')
    local hash = redis.call('HGETALL', KEYS[1])
    for i = 2, #hash, 2 do
      hash[i] = string.gsub(hash[i], '^(%S+ %S+) %S+', '%1 9000000000:9000000000:')
    end
    return { time[1] * 1000 + math.floor(time[2] / 1000), hash }`,
)

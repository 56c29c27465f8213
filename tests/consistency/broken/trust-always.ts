import { replaceScript } from './replace-script.ts'

/** Makes every polled watermark appear to be from now, so that cached values are always fresh. */
replaceScript(
  'cachePoll',
  () => `
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local hash = redis.call('HGETALL', KEYS[1])
    for i = 2, #hash, 2 do
      hash[i] = string.gsub(hash[i], '^(%S+ %S+ %S+) %S+', '%1 ' .. now)
    end
    return { now, hash }`,
)

import { replaceScript } from './replace-script.ts'

/** Makes every polled watermark include all transactions, so that every consistency token is covered. */
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

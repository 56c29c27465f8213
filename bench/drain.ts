import { z } from 'zod'
import { run } from '../scripts/servers/run.ts'
import type { Part } from './bench.ts'
import { built } from './build.ts'
import { shown } from './figure.ts'
import { median, quantile } from './statistics.ts'
import { table } from './table.ts'

const reportSchema = z.object({
  emptyMs: z.array(z.number()),
  singleMs: z.array(z.number()),
  drainMs: z.array(z.number()),
  backlog: z.number(),
})

/** Measures the time of a window without events, with one event, and with a full backlog. */
export const drain: Part = async ({ servers, quick, print }) => {
  const output = await run(process.execPath, [built('bench/arms/windows.ts')], {
    env: {
      ...process.env,
      LOG_LEVEL: 'error',
      DATABASE_URL: servers.databaseUrl,
      REDIS_URL: servers.redisUrl,
      // Its own watermarks, because an invalidator owns those of the other parts.
      CACHE_PREFIX: `${servers.prefix}-windows`,
      WINDOWS: quick ? '300' : '2000',
      DRAINS: quick ? '3' : '7',
    },
  })
  const { emptyMs, singleMs, drainMs, backlog } = reportSchema.parse(JSON.parse(lastLine(output)))
  const rate = backlog / (median(drainMs) / 1000)
  const row = (name: string, ms: readonly number[]) => [
    name,
    ...[0.5, 0.95, 0.99].map((share) => shown(quantile(ms, share))),
    `${ms.length}`,
  ]
  print(
    table(
      ['one window, ms', 'p50', 'p95', 'p99', 'times'],
      [
        row('empty', emptyMs),
        row('of one event', singleMs),
        row(`of ${backlog.toLocaleString('en')} events`, drainMs),
      ],
    ),
  )
  return [
    {
      what: `drain of ${backlog.toLocaleString('en')} events, key by key`,
      value: rate,
      unit: 'events/s',
      budget: { atLeast: 100_000 },
    },
  ]
}

/** Returns the report, which follows the log output. */
const lastLine = (text: string) => text.trim().split('\n').at(-1) ?? ''

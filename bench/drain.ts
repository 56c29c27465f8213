import type { Part } from './bench.ts'
import { shown } from './figure.ts'
import { median, quantile } from './statistics.ts'
import { table } from './table.ts'
import { runWindows } from './windows.ts'

/** Measures the time of a window without events, with one event, and with a full backlog. */
export const drain: Part = async ({ servers, quick, print }) => {
  const { emptyMs, singleMs, drainMs, backlog } = await runWindows(servers, {
    windows: quick ? 300 : 2000,
    drains: quick ? 3 : 7,
  })
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

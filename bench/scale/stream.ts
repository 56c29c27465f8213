import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { readBacklog } from '../../db/event-log/index.ts'
import { stateDir } from '../../scripts/paths.ts'
import { findPgbench } from '../../scripts/servers/load-programs.ts'
import { untilApplied } from '../applied.ts'
import type { Part } from '../bench.ts'
import { type Figure, shown } from '../figure.ts'
import { startInvalidator } from '../invalidator.ts'
import { LAST_WRITTEN_ID, runPgbench } from '../pgbench.ts'
import { probe } from '../probe.ts'
import { peakBytes } from '../processes.ts'
import { findProfileIds } from '../profiles.ts'
import type { Servers } from '../servers.ts'
import { quantile } from '../statistics.ts'
import { table } from '../table.ts'
import { readWatermarks } from '../watermarks.ts'

const COMMITS_PER_S = 50_000 / 60
const SAMPLES_PER_S = 20
const WRITERS = 16
const REPLICAS = 4
/** Time in which the replicas distribute the resources between them. */
const SHARED_OUT_MS = 5_000
const SAMPLE_INTERVAL_MS = 500

/** Measures lag, backlog and memory of replicas under a long stream of commits. */
export const stream: Part = async (bench) => {
  const { servers, quick, print } = bench
  const seconds = quick ? 20 : 600
  const pgbench = await findPgbench({ stateDir, env: process.env, print })
  const replicas = await Promise.all(
    Array.from({ length: REPLICAS }, () => startInvalidator(bench)),
  )
  const ids = (await findProfileIds(servers.databaseUrl)).filter((id) => +id > LAST_WRITTEN_ID)
  await untilApplied(servers)
  await sleep(SHARED_OUT_MS)
  print(`scale: 50,000 commits a minute for ${seconds} s, ${REPLICAS} invalidators`)

  // Every replica receives every notification.
  const countWakeUps = async () =>
    Math.max(...(await Promise.all(replicas.map((one) => one.count('spms_wakeups_total')))))
  const wakeUpsBefore = await countWakeUps()
  const over = new AbortController()
  const watching = sampleBacklog(servers, over.signal)
  watching.catch(() => {})
  const writer = { pgbench, url: servers.databaseUrl, clients: WRITERS }
  const [lags, tps] = await Promise.all([
    probe({ ...servers, ids, perS: SAMPLES_PER_S, seconds }),
    runPgbench({ ...writer, seconds, perS: COMMITS_PER_S }),
  ]).finally(() => over.abort())
  const backlogs = await watching
  const wakeUps = (await countWakeUps()) - wakeUpsBefore
  const bytes = Math.max(...(await Promise.all(replicas.map(({ pid }) => peakBytes(pid)))))
  for (const replica of replicas) await replica.stop()

  const commits = tps * seconds + lags.length
  const p99 = quantile(lags, 0.99)
  const most = Math.max(...backlogs)
  print(
    table(
      [
        'stream',
        'commits',
        'a minute',
        'sampled',
        'lost',
        'p50 ms',
        'p99 ms',
        'max ms',
        'wake-ups',
      ],
      [
        [
          `${REPLICAS} replicas`,
          shown(commits),
          shown((commits / seconds) * 60),
          `${lags.length}`,
          // The probe fails if an entry is lost.
          '0',
          ...[0.5, 0.99, 1].map((share) => shown(quantile(lags, share))),
          `${shown((100 * wakeUps) / commits)} %`,
        ],
      ],
    ),
  )
  print(
    table(
      ['backlog, events', 'p50', 'p99', 'max', 'samples'],
      [
        [
          'after the oldest watermark',
          ...[0.5, 0.99, 1].map((share) => shown(quantile(backlogs, share))),
          `${backlogs.length}`,
        ],
      ],
    ),
  )
  const figure = (
    what: string,
    value: number,
    unit: Figure['unit'],
    budget: Figure['budget'],
  ): Figure => ({ what: `50,000 commits a minute, ${what}`, value, unit, budget })
  return [
    figure('committed', (commits / seconds) * 60, '', { atLeast: 50_000 }),
    figure('commit -> invalidated, p99', p99, 'ms', { atMost: 25 }),
    figure('largest backlog', most, 'events', { atMost: COMMITS_PER_S }),
    figure('peak memory of a replica', bytes, 'bytes', { atMost: 300 * 2 ** 20 }),
  ]
}

/** Returns the number of events after the oldest watermark, sampled twice a second. */
async function sampleBacklog(
  { databaseUrl, redisUrl, prefix }: Servers,
  until: AbortSignal,
): Promise<readonly number[]> {
  const redis = new Redis(redisUrl)
  const found: number[] = []
  try {
    while (!until.aborted) {
      const snapshots = (await readWatermarks(redis, prefix)).map((mark) => mark?.snapshot)
      const last = snapshots.reduce((a, b) => (a && b ? (a.xmax < b.xmax ? a : b) : undefined))
      if (!last) throw new Error('a resource has no watermark')
      found.push((await readBacklog(databaseUrl, last)).events)
      await sleep(SAMPLE_INTERVAL_MS)
    }
    return found
  } finally {
    redis.disconnect()
  }
}

import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { Client } from 'pg'
import type { Part } from './bench.ts'
import {
  type Change,
  CHANGES,
  COPY,
  DROP_KEPT_ROWS,
  KEEP_ROWS,
  RESTORE_ROWS,
} from './bulk/changes.ts'
import { type Latencies, openBystander } from './bystander.ts'
import { type Figure, shown } from './figure.ts'
import { startInvalidator } from './invalidator.ts'
import { peakBytes } from './processes.ts'
import { findProfileIds, profileKey } from './profiles.ts'
import { runStatement } from './statement.ts'
import { median, quantile } from './statistics.ts'
import { table } from './table.ts'

const LOST_MS = 60_000
const AS_EXPECTED = 0.99

interface Round {
  readonly bareMs: number
  readonly watchedMs: number
  readonly goneMs: number
  /** Peak memory of the writer's backend, minus its peak without triggers. */
  readonly backendBytes: number
  /** Latencies of other clients meanwhile, without triggers and with them. */
  readonly besideBare: Latencies
  readonly besideWatched: Latencies
}

/** Measures a change of a million rows: its duration, the latency of other clients, and how long stale entries remain. */
export const bulk: Part = async (bench) => {
  const { servers, quick, print } = bench
  const rows = quick ? 100_000 : 1_000_000
  const databases = [servers.bareUrl, servers.databaseUrl]
  const invalidator = await startInvalidator(bench)
  const bystander = await openBystander(bench)
  const redis = new Redis(servers.redisUrl)
  const keys = (await findProfileIds(servers.databaseUrl)).map((id) =>
    profileKey(servers.prefix, id),
  )
  const mayCopy = await mayRunPrograms(servers.databaseUrl)
  const changes = CHANGES.filter(({ name }) => name !== COPY || mayCopy)
  print(`bulk: ${rows.toLocaleString('en')} rows${mayCopy ? '' : '; this role may not COPY'}`)

  /** Returns the milliseconds until the change is committed, and the peak memory of the backend. */
  async function make({ text, mode }: Change, url: string) {
    const client = new Client({ connectionString: url })
    await client.connect()
    try {
      if (mode) await client.query(`set invalidation.mode = '${mode}'`)
      const result = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
      const startedMs = performance.now()
      await client.query(text(rows))
      const ms = performance.now() - startedMs
      // The memory of a server on another host is unknown.
      const bytes = await peakBytes(result.rows[0]?.pid ?? 0).catch(() => Number.NaN)
      return { ms, bytes }
    } finally {
      await client.end()
    }
  }

  async function untilGone(): Promise<number> {
    const startedMs = performance.now()
    while ((await redis.exists(...keys)) > 0) {
      if (performance.now() - startedMs > LOST_MS)
        throw new Error(`stale entries still exist after ${LOST_MS} ms`)
      await sleep(2)
    }
    return performance.now() - startedMs
  }

  async function measure(change: Change): Promise<Round> {
    const bare = await bystander.during(() => make(change, servers.bareUrl))
    for (const key of keys) await redis.hset(key, 'bench', '1')
    const watched = await bystander.during(async () => {
      const made = await make(change, servers.databaseUrl)
      return { ...made, goneMs: await untilGone() }
    })
    return {
      bareMs: bare.result.ms,
      watchedMs: watched.result.ms,
      goneMs: watched.result.goneMs,
      backendBytes: watched.result.bytes - bare.result.bytes,
      besideBare: bare.latencies,
      besideWatched: watched.latencies,
    }
  }

  const found = new Map(changes.map(({ name }): [string, Round[]] => [name, []]))
  const quiet: Latencies[] = []
  for (const url of databases) await runStatement(url, KEEP_ROWS)
  for (let round = 0; round < (quick ? 1 : 3); round++) {
    quiet.push((await bystander.during(() => sleep(quick ? 3_000 : 10_000))).latencies)
    for (const change of changes) found.get(change.name)?.push(await measure(change))
    for (const url of databases) await runStatement(url, RESTORE_ROWS)
  }
  for (const url of databases) await runStatement(url, DROP_KEPT_ROWS)
  const hitShare = await bystander.hitShare()
  const invalidatorBytes = await peakBytes(invalidator.pid)
  redis.disconnect()
  await bystander.stop()
  await invalidator.stop()

  const mib = (bytes: number) => shown(bytes / 2 ** 20)
  const of = (name: string, value: (round: Round) => number) =>
    median((found.get(name) ?? []).map(value))
  print(
    table(
      ['', 'ms without', 'ms with', 'ratio', 'then stale for, ms', 'backend, MiB more'],
      changes.map(({ name }) => [
        name,
        shown(of(name, ({ bareMs }) => bareMs)),
        shown(of(name, ({ watchedMs }) => watchedMs)),
        shown(of(name, ({ bareMs, watchedMs }) => watchedMs / bareMs)),
        shown(of(name, ({ goneMs }) => goneMs)),
        mib(of(name, ({ backendBytes }) => backendBytes)),
      ]),
    ),
  )
  print(`bulk: the invalidator used ${mib(invalidatorBytes)} MiB at most`)

  const othersRow = (name: string, one: readonly Latencies[], other?: readonly Latencies[]) => [
    name,
    ...(['hit', 'uncached'] as const).flatMap((kind) => [
      shown(p99(one, kind)),
      other === undefined ? '' : shown(p99(other, kind)),
    ]),
  ]
  const besideBare = (rounds: readonly Round[]) => rounds.map((round) => round.besideBare)
  const besideWatched = (rounds: readonly Round[]) => rounds.map((round) => round.besideWatched)
  print(
    table(
      ['other clients, p99 ms', 'hit', 'with triggers', 'uncached', 'with triggers'],
      [
        othersRow('no change', quiet),
        ...[...found].map(([name, done]) => othersRow(name, besideBare(done), besideWatched(done))),
      ],
    ),
  )

  const all = [...found.values()].flat()
  const count = rows.toLocaleString('en')
  const figure = (what: string, value: number, unit: Figure['unit'] = ''): Figure => ({
    what,
    value,
    unit,
    budget: null,
  })
  const costs = ['insert', 'update', 'delete', ...(mayCopy ? [COPY] : [])].map((name) =>
    figure(
      `${name} of ${count} rows, against no trigger`,
      of(name, ({ bareMs, watchedMs }) => watchedMs / bareMs),
    ),
  )
  const meanwhile = figure(
    "p99 of another endpoint's hits meanwhile",
    p99(besideWatched(all), 'hit'),
    'ms',
  )
  const outlived = changes.map(({ name }) => of(name, ({ goneMs }) => goneMs))
  return [
    ...costs,
    figure('after any of these, until the last stale entry is gone', Math.max(...outlived), 'ms'),
    hitShare < AS_EXPECTED
      ? { ...meanwhile, value: null, note: 'other outcomes' }
      : {
          ...meanwhile,
          note: `${shown(p99(besideBare(all), 'hit'))} without triggers, ${shown(p99(quiet, 'hit'))} at rest`,
        },
    {
      what: 'peak memory of the invalidator meanwhile',
      value: invalidatorBytes,
      unit: 'bytes',
      budget: { atMost: 300 * 2 ** 20 },
    },
  ]
}

/** Returns the 99th percentile over all rounds. */
const p99 = (all: readonly Latencies[], kind: keyof Latencies) =>
  quantile(
    all.flatMap((one) => one[kind]),
    0.99,
  )

async function mayRunPrograms(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query<{ may: boolean }>(
      `select pg_has_role('pg_execute_server_program', 'usage') as may`,
    )
    return rows[0]?.may ?? false
  } finally {
    await client.end()
  }
}

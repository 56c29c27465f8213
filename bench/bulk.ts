import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { Client } from 'pg'
import type { Part } from './bench.ts'
import { type Figure, shown } from './figure.ts'
import { startInvalidator } from './invalidator.ts'
import { peakBytes } from './processes.ts'
import { findProfileIds, profileKey } from './profiles.ts'
import { median } from './statistics.ts'
import { table } from './table.ts'

/** What is done to so many rows of one watched table, each as one statement in one transaction. */
const CHANGES = [
  {
    name: 'insert',
    text: `insert into users_employmententry (public_profile_id, position_title, start_year)
           select (select min(id) from users_publicstaffprofile), 'bench', 2000 + n % 20
           from generate_series(1, $rows) n`,
  },
  {
    name: 'update',
    text: `update users_employmententry set position_title = position_title || '.'`,
  },
  {
    name: 'update, coarse mode',
    mode: 'coarse',
    text: `update users_employmententry set position_title = position_title || '.'`,
  },
  { name: 'delete', text: `delete from users_employmententry where position_title like 'bench%'` },
] as const

const LOST_MS = 60_000

interface Round {
  readonly bareMs: number
  readonly watchedMs: number
  readonly goneMs: number
  /** What the writer's backend held at most beyond what it holds without triggers. */
  readonly backendBytes: number
}

/** What a change of a million rows costs its writer, and how long entries outlive it. */
export const bulk: Part = async (bench) => {
  const { servers, quick, say } = bench
  const rows = quick ? 100_000 : 1_000_000
  const invalidator = await startInvalidator(bench)
  const redis = new Redis(servers.redisUrl)
  const keys = (await findProfileIds(servers.databaseUrl)).map((id) =>
    profileKey(servers.prefix, id),
  )
  say(`bulk: ${rows.toLocaleString('en')} rows`)

  /** Milliseconds until the change is committed, and what the backend held at most. */
  async function change(url: string, { text, ...rest }: (typeof CHANGES)[number]) {
    const client = new Client({ connectionString: url })
    await client.connect()
    try {
      if ('mode' in rest) await client.query(`set invalidation.mode = '${rest.mode}'`)
      const result = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
      const startedMs = performance.now()
      await client.query(text.replace('$rows', String(rows)))
      const ms = performance.now() - startedMs
      // A server elsewhere does not show its memory.
      const bytes = await peakBytes(result.rows[0]?.pid ?? 0).catch(() => Number.NaN)
      return { ms, bytes }
    } finally {
      await client.end()
    }
  }

  async function untilGone(): Promise<number> {
    const startedMs = performance.now()
    while ((await redis.exists(...keys)) > 0) {
      if (performance.now() - startedMs > LOST_MS) throw new Error('entries are still there')
      await sleep(2)
    }
    return performance.now() - startedMs
  }

  const found = new Map(CHANGES.map(({ name }): [string, Round[]] => [name, []]))
  for (let round = 0; round < (quick ? 1 : 3); round++) {
    for (const one of CHANGES) {
      const bare = await change(servers.bareUrl, one)
      for (const key of keys) await redis.hset(key, 'bench', '1')
      const watched = await change(servers.databaseUrl, one)
      found.get(one.name)?.push({
        bareMs: bare.ms,
        watchedMs: watched.ms,
        goneMs: await untilGone(),
        backendBytes: watched.bytes - bare.bytes,
      })
    }
  }
  const invalidatorBytes = await peakBytes(invalidator.pid)
  redis.disconnect()
  await invalidator.stop()

  const mib = (bytes: number) => shown(bytes / 2 ** 20)
  const of = (name: string, value: (round: Round) => number) =>
    median((found.get(name) ?? []).map(value))
  say(
    table(
      ['', 'ms without', 'ms with', 'ratio', 'then stale for, ms', 'backend, MiB more'],
      CHANGES.map(({ name }) => [
        name,
        shown(of(name, ({ bareMs }) => bareMs)),
        shown(of(name, ({ watchedMs }) => watchedMs)),
        shown(of(name, ({ bareMs, watchedMs }) => watchedMs / bareMs)),
        shown(of(name, ({ goneMs }) => goneMs)),
        mib(of(name, ({ backendBytes }) => backendBytes)),
      ]),
    ),
  )
  say(`bulk: the invalidator held ${mib(invalidatorBytes)} MiB at most`)
  const what = `update of ${rows.toLocaleString('en')} rows`
  return [
    {
      what: `${what}, against no trigger`,
      value: of('update', ({ bareMs, watchedMs }) => watchedMs / bareMs),
      unit: '',
      budget: null,
    },
    {
      what: `${what}, until the last stale entry is gone`,
      value: of('update', ({ goneMs }) => goneMs),
      unit: 'ms',
      budget: null,
    },
    {
      what: 'invalidator, most memory meanwhile',
      value: invalidatorBytes,
      unit: 'bytes',
      budget: { atMost: 300 * 2 ** 20 },
    },
  ] satisfies Figure[]
}

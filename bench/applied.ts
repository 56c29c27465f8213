import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { Client } from 'pg'
import { includes, parseSnapshot, type Snapshot } from '../db/event-log/index.ts'
import type { Servers } from './servers.ts'
import { readWatermarks } from './watermarks.ts'

type Target = Pick<Servers, 'databaseUrl' | 'redisUrl' | 'prefix'>

const LOST_MS = 60_000

/**
 * Returns the milliseconds until the watermarks of all resources include what is committed now.
 * @throws Error if that takes longer than a minute.
 */
export const untilApplied = (target: Target): Promise<number> => wait(target, async () => {})

/** Commits a change, then does the same as `untilApplied`. */
export const untilChangeApplied = (target: Target): Promise<number> =>
  wait(target, (client) =>
    client.query('update users_publicstaffprofile set expertise = $1 where id = 1', [
      `applied ${performance.now()}`,
    ]),
  )

async function wait(
  { databaseUrl, redisUrl, prefix }: Target,
  change: (client: Client) => Promise<unknown>,
): Promise<number> {
  const startedMs = performance.now()
  const client = new Client({ connectionString: databaseUrl })
  const redis = new Redis(redisUrl)
  try {
    await client.connect()
    await change(client)
    const committed = await readMoment(client)
    for (;;) {
      const marks = await readWatermarks(redis, prefix)
      const { incarnation } = await readMoment(client)
      const isApplied = marks.every(
        (mark) => mark?.incarnation === incarnation && includes(mark.snapshot, committed.snapshot),
      )
      if (isApplied) return performance.now() - startedMs
      if (performance.now() - startedMs > LOST_MS)
        throw new Error('the change was not applied within a minute')
      await sleep(2)
    }
  } finally {
    redis.disconnect()
    await client.end()
  }
}

async function readMoment(
  client: Client,
): Promise<{ snapshot: Snapshot; incarnation: string | null }> {
  const { rows } = await client.query<{ snapshot: string; incarnation: string | null }>(
    `select pg_current_snapshot()::text as snapshot, (select id from invalidation.current_incarnation) as incarnation`,
  )
  return {
    snapshot: parseSnapshot(rows[0]?.snapshot ?? '') as Snapshot,
    incarnation: rows[0]?.incarnation ?? null,
  }
}

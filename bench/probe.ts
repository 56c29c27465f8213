import { randomUUID } from 'node:crypto'
import { Client } from 'pg'
import { setTimeout as sleep } from 'node:timers/promises'
import { profileKey } from './profiles.ts'
import { seededRandom } from './statistics.ts'
import { openTracking } from './tracking.ts'

export interface ProbeOptions {
  readonly databaseUrl: string
  readonly redisUrl: string
  readonly prefix: string
  readonly ids: readonly string[]
  readonly perS: number
  readonly seconds: number
}

/** After which a change counts as never applied. */
const LOST_MS = 5_000

/**
 * Commits changes of one row at random moments, `perS` a second on average, and answers with how
 * long each entry outlived the commit: from the moment the writer was told of the commit to the
 * moment that Redis said that the entry was gone, in milliseconds on one clock.
 *
 * Redis reports it itself, so the figure is never too small by more than the time that this process
 * takes to look.
 *
 * @throws when an entry was not invalidated within 5 s.
 */
export async function probe(options: ProbeOptions): Promise<number[]> {
  const { databaseUrl, redisUrl, prefix, ids, perS, seconds } = options
  const outcomes = new Map<string, (goneAtMs: number) => void>()
  using tracking = await openTracking({
    redisUrl,
    keysFrom: profileKey(prefix, ''),
    onChange(key, atMs) {
      outcomes.get(key)?.(atMs)
      outcomes.delete(key)
    },
  })
  const { redis } = tracking
  const writer = new Client({ connectionString: databaseUrl })
  await writer.connect()
  try {
    const random = seededRandom(2)
    const lags: Promise<number>[] = []
    let dueMs = performance.now()
    let turn = 0
    const nextFree = () => {
      for (const _ of ids) {
        const id = ids[turn++ % ids.length] as string
        if (!outcomes.has(profileKey(prefix, id))) return id
      }
      throw new Error(`${ids.length} changes at once are not applied`)
    }
    for (let i = 0; i < perS * seconds; i++) {
      dueMs += (-Math.log(1 - random()) * 1000) / perS
      const leftMs = dueMs - performance.now()
      if (leftMs > 0) await sleep(leftMs)
      const id = nextFree()
      const key = profileKey(prefix, id)
      await redis.hset(key, 'bench', '1')
      await redis.pexpire(key, 60_000)
      const gone = new Promise<number>((resolve) => outcomes.set(key, resolve))
      await writer.query({
        name: 'probe',
        text: `update users_publicstaffprofile set expertise = $1 where id = $2`,
        // Always another text: a change to what was there before is none.
        values: [randomUUID(), id],
      })
      const committedMs = performance.now()
      lags.push(gone.then((goneAtMs) => Math.max(0, goneAtMs - committedMs)))
    }
    const lost = sleep(LOST_MS, undefined, { ref: false }).then(() => {
      throw new Error(`${outcomes.size} changes were not applied within ${LOST_MS} ms`)
    })
    lost.catch(() => {})
    return await Promise.race([Promise.all(lags), lost])
  } finally {
    await writer.end()
  }
}

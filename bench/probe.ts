import { randomUUID } from 'node:crypto'
import { Client } from 'pg'
import { setTimeout as sleep } from 'node:timers/promises'
import { profileKey } from './profiles.ts'
import { seededRandom } from './statistics.ts'
import { openTracking, type Tracking } from './tracking.ts'

export interface ProbeOptions {
  readonly databaseUrl: string
  readonly redisUrl: string
  readonly prefix: string
  /** In a cluster: the place of each key. By default all keys are on the server of `redisUrl`. */
  readonly placeOf?: (key: string) => { readonly redisUrl: string; readonly key: string }
  readonly ids: readonly string[]
  readonly perS: number
  readonly seconds: number
}

/** Time after which a change counts as lost. */
const LOST_MS = 5_000

/**
 * Commits changes of one row at random moments, `perS` a second on average. Returns for each the
 * milliseconds from the reply to the commit to Redis' report that the entry was deleted.
 *
 * Both times are read from one clock. Redis pushes the report, so the figure contains no polling delay.
 *
 * @throws Error if an entry is not deleted within 5 s.
 */
export async function probe(options: ProbeOptions): Promise<number[]> {
  const { databaseUrl, redisUrl, prefix, ids, perS, seconds } = options
  const outcomes = new Map<string, (goneAtMs: number) => void>()
  const placeOf = options.placeOf ?? ((key) => ({ redisUrl, key }))
  const placeOfId = (id: string) => placeOf(profileKey(prefix, id))
  const trackings = new Map<string, Tracking>()
  for (const url of new Set(ids.map((id) => placeOfId(id).redisUrl))) {
    const tracking = await openTracking({
      redisUrl: url,
      keysFrom: `${prefix}/`,
      onChange(key, atMs) {
        outcomes.get(key)?.(atMs)
        outcomes.delete(key)
      },
    })
    trackings.set(url, tracking)
  }
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
        if (!outcomes.has(placeOfId(id).key)) return id
      }
      throw new Error(`none of ${ids.length} concurrent changes has been applied`)
    }
    for (let i = 0; i < perS * seconds; i++) {
      dueMs += (-Math.log(1 - random()) * 1000) / perS
      const leftMs = dueMs - performance.now()
      if (leftMs > 0) await sleep(leftMs)
      const id = nextFree()
      const { redisUrl: url, key } = placeOfId(id)
      const redis = trackings.get(url)?.redis
      await redis?.hset(key, 'bench', '1')
      await redis?.pexpire(key, 60_000)
      const gone = new Promise<number>((resolve) => outcomes.set(key, resolve))
      await writer.query({
        name: 'probe',
        text: `update users_publicstaffprofile set expertise = $1 where id = $2`,
        // Always a different text, because an update to the same value is not logged.
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
    for (const tracking of trackings.values()) tracking[Symbol.dispose]()
    await writer.end()
  }
}

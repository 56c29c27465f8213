import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Client,
  includes,
  inTransaction,
  parseSnapshot,
  type Snapshot,
} from '../../db/event-log/index.ts'
import {
  bareKey,
  decodeWatermark,
  inEachBucket,
  type InvalidationStores,
  type ResourceRules,
} from '../../shared/cache/index.ts'
import { concerns } from '../pattern.ts'

/** Returns the names of the resources that a name, a key or a pattern concerns. */
export const resourcesOf = (
  catalog: readonly ResourceRules[],
  prefix: string,
  what: string,
): readonly string[] =>
  catalog.filter((one) => concerns(bareKey(prefix, what), one)).map(({ name }) => name)

/** Logs a request to flush. Returns a snapshot that includes it. */
export async function requestFlush(
  url: string,
  applicationName: string,
  pattern: string,
): Promise<Snapshot> {
  const request = (client: Client) => client.query('select invalidation.flush($1)', [pattern])
  await inTransaction(url, { applicationName }, request, 'read write')
  return inTransaction(url, { applicationName }, async (client) => {
    const { rows } = await client.query<{ text: string }>(
      'select pg_current_snapshot()::text as text',
    )
    return parseSnapshot(rows[0]?.text ?? '') as Snapshot
  })
}

const POLL_MS = 20

/** Waits until the invalidators have applied a request. Returns false if that takes longer. */
export async function untilFlushed(
  stores: Pick<InvalidationStores, 'count' | 'at'>,
  names: readonly string[],
  requested: Snapshot,
  timeoutMs: number,
): Promise<boolean> {
  const giveUpAtMs = performance.now() + timeoutMs
  const areFlushed = async () => {
    const texts = await Promise.all(
      inEachBucket(stores, async (bucket) => {
        const store = stores.at(bucket)
        return Promise.all(names.map((name) => store.read(name)))
      }),
    )
    const marks = texts.flat().map(decodeWatermark)
    return marks.every((mark) => mark !== null && includes(mark.snapshot, requested))
  }
  while (!(await areFlushed())) {
    if (performance.now() > giveUpAtMs) return false
    await sleep(POLL_MS)
  }
  return true
}

import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'
import { includes, inTransaction, parseSnapshot, type Snapshot } from '../../db/event-log/index.ts'
import { concerns } from '../../invalidator/index.ts'
import { bareKey, createInvalidationStore, decodeWatermark } from '../../shared/cache/index.ts'
import { ConfigurationError } from '../../shared/errors.ts'
import { catalog } from '../../shared/resources/index.ts'
import type { Discovered } from '../servers/discover.ts'
import { withRedis } from './with-redis.ts'

const TIMEOUT_MS = 15_000

/**
 * Flushes the resources that a name, a key or a pattern matches, and waits for the invalidators.
 * @throws ConfigurationError if no resource matches, or if the flush takes longer than 15 s.
 */
export async function runFlush(
  { databaseUrl, redisUrl }: Discovered,
  prefix: string,
  what: string,
): Promise<void> {
  const pattern = bareKey(prefix, what)
  const names = catalog.filter((one) => concerns(pattern, one)).map(({ name }) => name)
  if (names.length === 0) {
    throw new ConfigurationError(
      `no cached resource matches ${what}; resources are ${catalog.map(({ name }) => name).join(', ')}`,
    )
  }
  const requested = await requestFlush(databaseUrl, pattern)
  console.log(`requested: ${names.join(', ')}`)
  if (redisUrl === undefined) return
  await withRedis(redisUrl, async (redis) => {
    const invalidationStore = createInvalidationStore(redis, prefix)
    const giveUpAtMs = performance.now() + TIMEOUT_MS
    const areFlushed = async () => {
      const texts = await Promise.all(names.map((name) => invalidationStore.read(name)))
      const marks = texts.map(decodeWatermark)
      return marks.every((mark) => mark !== null && includes(mark.snapshot, requested))
    }
    while (!(await areFlushed())) {
      if (performance.now() > giveUpAtMs) {
        throw new ConfigurationError(
          `not flushed within ${TIMEOUT_MS / 1000} s: is an invalidator running? See npm run spms -- status`,
        )
      }
      await sleep(20)
    }
  })
  console.log('flushed')
}

/** Logs the request. Returns a snapshot that includes it. */
async function requestFlush(url: string, pattern: string): Promise<Snapshot> {
  const connection = { applicationName: 'spms-flush' }
  const request = (client: Client) => client.query('select invalidation.flush($1)', [pattern])
  await inTransaction(url, connection, request, 'read write')
  return inTransaction(url, connection, async (client) => {
    const { rows } = await client.query<{ text: string }>(
      'select pg_current_snapshot()::text as text',
    )
    return parseSnapshot(rows[0]?.text ?? '') as Snapshot
  })
}

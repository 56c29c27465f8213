import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'
import { inTransaction } from '../../db/connection.ts'
import { includes, parseSnapshot, type Snapshot } from '../../db/event-log/snapshot.ts'
import { concerns } from '../../invalidator/pattern.ts'
import { bareKey } from '../../shared/cache/key.ts'
import { createInvalidationStore } from '../../shared/cache/invalidation-store.ts'
import { decodeWatermark } from '../../shared/cache/watermark.ts'
import { ConfigurationError } from '../../shared/errors.ts'
import { catalog } from '../../shared/resources/index.ts'
import type { Discovered } from '../servers/discover.ts'
import { withRedis } from './with-redis.ts'

const PATIENCE_MS = 15_000

/**
 * Asks the invalidators to forget all entries of the resources that a name, a key or a pattern
 * concerns, and waits until they have. @throws when it concerns none, or nobody does it.
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
      `nothing that is cached is called ${what}; resources are ${catalog.map(({ name }) => name).join(', ')}`,
    )
  }
  const asked = await ask(databaseUrl, pattern)
  console.log(`asked for: ${names.join(', ')}`)
  if (redisUrl === undefined) return
  await withRedis(redisUrl, async (redis) => {
    const invalidationStore = createInvalidationStore(redis, prefix)
    const giveUpAtMs = performance.now() + PATIENCE_MS
    const areFlushed = async () => {
      const texts = await Promise.all(names.map((name) => invalidationStore.read(name)))
      const marks = texts.map(decodeWatermark)
      return marks.every((mark) => mark !== null && includes(mark.snapshot, asked))
    }
    while (!(await areFlushed())) {
      if (performance.now() > giveUpAtMs) {
        throw new ConfigurationError(
          `not done within ${PATIENCE_MS / 1000} s: is an invalidator running? (status)`,
        )
      }
      await sleep(20)
    }
  })
  console.log('flushed')
}

/** Answers with a snapshot that sees the request. */
async function ask(url: string, pattern: string): Promise<Snapshot> {
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

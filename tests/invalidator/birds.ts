import type { Client } from 'pg'
import { compileRules, entryKey, type Redis, type ResourceRules } from '../../shared/cache/index.ts'
import { AVIARY, type EventLog, openEventLog } from '../event-log/event-log.ts'

/** A resource of one bird and its nest: the table `bird` by key, `nest` by a lookup. */
export const bird: ResourceRules = {
  name: 'bird',
  version: 1,
  key: 'bird:{id}',
  staleWhen: [
    { table: 'bird', watch: ['name', 'nest_id', 'weight'], key: { id: 'id' } },
    {
      table: 'nest',
      watch: ['place'],
      from: ['id'],
      query: 'select id from bird where nest_id = any ($1::text[]::bigint[])',
    },
  ],
}

/** A resource of the birds in one nest. */
export const nest: ResourceRules = {
  name: 'nest',
  version: 1,
  key: 'nest:{id}:birds',
  staleWhen: [{ table: 'bird', watch: ['name', 'nest_id'], key: { id: 'nest_id' } }],
}

/** A resource without parameters. */
export const census: ResourceRules = {
  name: 'census',
  version: 1,
  key: 'census',
  staleWhen: [{ table: 'bird', watch: ['weight'], key: {} }],
}

export const BIRDS = [bird, nest, census]

/** Opens a database with the tables and the triggers for these resources. */
export const openBirds = (catalog: readonly ResourceRules[] = BIRDS): Promise<EventLog> =>
  openEventLog(AVIARY, compileRules(catalog))

/** Whether exactly one session holds the sleep lock. */
export async function isSleepLockHeld(client: Client): Promise<boolean> {
  const { rowCount } = await client.query(
    `select from pg_locks where locktype = 'advisory' and mode = 'ExclusiveLock' and granted
       and classid = 1397771603 and objid = 0
       and database = (select oid from pg_database where datname = current_database())`,
  )
  return rowCount === 1
}

/** Returns the sessions that hold the sleep lock or wait for it. */
export async function findSleepLockHolders(
  client: Client,
): Promise<readonly { readonly pid: number; readonly granted: boolean }[]> {
  const { rows } = await client.query<{ pid: number; granted: boolean }>(
    `select pid, granted from pg_locks
     where locktype = 'advisory' and mode = 'ExclusiveLock'
       and classid = 1397771603 and objid = 0
       and database = (select oid from pg_database where datname = current_database())`,
  )
  return rows
}

/** Entries of one prefix, as marker values. */
export interface Entries {
  readonly key: (resource: ResourceRules, id?: number | string) => string
  /** Stores entries, runs an action that may invalidate some, and returns the deleted ones. */
  readonly gone: (keys: readonly string[], act: () => Promise<unknown>) => Promise<string[]>
  readonly put: (keys: readonly string[]) => Promise<void>
  /** Returns the entries that still exist. */
  readonly left: (keys: readonly string[]) => Promise<string[]>
}

export function entriesOf(redis: Redis, prefix: string): Entries {
  const entries: Entries = {
    key: (resource, id = '') => entryKey(prefix, resource, { id: String(id) }),
    async gone(keys, act) {
      await entries.put(keys)
      await act()
      const left = new Set(await entries.left(keys))
      return keys.filter((key) => !left.has(key))
    },
    async put(keys) {
      const pipeline = redis.pipeline()
      for (const key of keys) pipeline.hset(key, 'v', '1')
      await pipeline.exec()
    },
    async left(keys) {
      const found = await Promise.all(keys.map((key) => redis.exists(key)))
      return keys.filter((_, index) => found[index] === 1)
    },
  }
  return entries
}

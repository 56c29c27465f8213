import { setTimeout as sleep } from 'node:timers/promises'
import {
  beginReading,
  connect,
  type Event,
  type InstalledRules,
  NoIncarnation,
  readRules,
  readWindow,
  type Snapshot,
  TablesRewritten,
  type Window,
} from '../../db/event-log/index.ts'
import { createTranslation } from '../../invalidator/index.ts'
import { ConfigurationError } from '../../shared/errors.ts'
import { createLogger } from '../../shared/logger.ts'
import { catalog } from '../../shared/resources/index.ts'

const NO_EVENTS: Window = { events: [], coarse: false, count: 0 }
const POLL_INTERVAL_MS = 200
const SHOWN_ROWS = 5
const SHOWN_KEYS = 10

/** Prints each event after its commit, and the entries that it invalidates, until `stopping` aborts. */
export async function runTail(
  databaseUrl: string,
  prefix: string,
  stopping: AbortSignal,
): Promise<void> {
  const client = await connect(databaseUrl, { applicationName: 'spms-tail', pipeline: true })
  const translation = createTranslation({
    session: { client },
    catalog,
    prefix,
    logger: createLogger('tail'),
    pause: () => Promise.resolve(),
  })
  try {
    let rules = await readRules(client)
    let since: Snapshot | null = null
    console.log('waiting for changes; press Ctrl-C to stop')
    while (!stopping.aborted) {
      await translation.beginWindow()
      const { snapshot } = await beginReading(client).catch(explainNoIncarnation)
      const { events, coarse, everything }: Window =
        since === null ? NO_EVENTS : await readWindow(client, since)
      if (everything) console.log('flush  everything (too many events)')
      for (const event of events) {
        if (event.op !== 'F' && rules.find(event.version, event.tableId) === null) {
          rules = await readRules(client)
        }
        const window = { events: [event], coarse, count: 1 }
        const { keys, flush, lookups } = await translation.map(window, catalog)
        await translation.follow(lookups, keys, flush).catch((error: unknown) => {
          if (!(error instanceof TablesRewritten)) throw error
          for (const { resource } of lookups) flush.set(resource.name, 'lookup failed')
        })
        console.log(describe(event, rules))
        for (const [resource, reason] of flush) console.log(`    flush  ${resource} (${reason})`)
        for (const line of shorten(
          [...keys.values()].flatMap((set) => [...set]),
          SHOWN_KEYS,
        )) {
          console.log(`    invalidate ${line}`)
        }
      }
      await client.query('commit')
      since = snapshot
      await sleep(POLL_INTERVAL_MS, undefined, { signal: stopping }).catch(() => undefined)
    }
  } finally {
    await client.end()
  }
}

/** A copied database and a restarted server have no incarnation until a service connects. */
function explainNoIncarnation(error: unknown): never {
  if (!(error instanceof NoIncarnation)) throw error
  throw new ConfigurationError(
    'no incarnation has begun since Postgres was started, or this database is a copy: start an invalidator',
    { cause: error },
  )
}

const OPERATIONS = {
  I: 'insert',
  U: 'update',
  D: 'delete',
  T: 'truncate',
  B: 'many rows',
  X: 'trigger fault',
  F: 'flush',
} as const

function describe(
  { op, version, tableId, changed, keys, atMs }: Event,
  rules: InstalledRules,
): string {
  const time = new Date(atMs).toISOString().slice(11, 23)
  if (op === 'F') return `${time}  flush  ${String(keys?.[0])}`
  const table = rules.find(version, tableId)
  const columns =
    op === 'U' && changed !== -1n
      ? ` (${table?.watch.filter((_, bit) => (changed & (1n << BigInt(bit))) !== 0n).join(', ')})`
      : ''
  const rows = shorten(
    (keys ?? []).map((row) => `[${[row].flat().join(', ')}]`),
    SHOWN_ROWS,
  )
  const names = keys === null ? '' : `  ${table?.keys.join(', ')} = ${rows.join(' ')}`
  return `${time}  ${OPERATIONS[op]}  ${rules.nameOf(tableId) ?? `table ${tableId}`}${columns}${names}`
}

const shorten = (items: readonly string[], most: number): readonly string[] =>
  items.length <= most ? items : [...items.slice(0, most), `and ${items.length - most} more`]

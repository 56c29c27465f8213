import { once } from 'node:events'
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
import {
  type Change,
  changedColumns,
  createTranslation,
  OPERATIONS,
} from '../../invalidator/index.ts'
import { bareKey, openRedis, readReports } from '../../shared/cache/index.ts'
import { ConfigurationError } from '../../shared/errors.ts'
import { createLogger } from '../../shared/logger.ts'
import { catalog } from '../../shared/resources/index.ts'
import type { Discovered } from '../servers/discover.ts'

const NO_EVENTS: Window = { events: [], coarse: false, count: 0 }
const POLL_INTERVAL_MS = 200
const SHOWN_ROWS = 5
const SHOWN_KEYS = 10

/**
 * Prints each change after its commit, and the entries that it invalidates, until `stopping` aborts. It
 * uses `/events` of an invalidator. Without one it reads the event log.
 */
export async function runTail(
  { databaseUrl, redisUrl }: Discovered,
  prefix: string,
  stopping: AbortSignal,
): Promise<void> {
  const address = redisUrl === undefined ? null : await findConsole(redisUrl, prefix)
  if (address !== null && (await printEvents(address, stopping))) return
  await tailLog(databaseUrl, prefix, stopping)
}

const REDIS_TIMEOUT_MS = 1_000

/** Returns the internal address of a running invalidator; null if there is none. */
async function findConsole(redisUrl: string, prefix: string): Promise<string | null> {
  const redis = openRedis(redisUrl, {
    name: 'spms-tail',
    commandTimeoutMs: REDIS_TIMEOUT_MS,
    onState: () => undefined,
  })
  try {
    await once(redis, 'ready', { signal: AbortSignal.timeout(REDIS_TIMEOUT_MS) })
    const reports = await readReports(redis, prefix)
    return (
      reports.find(({ lag, answersAt }) => lag !== null && answersAt !== undefined)?.answersAt ??
      null
    )
  } catch {
    return null
  } finally {
    redis.disconnect()
  }
}

/** Prints the changes of a stream. Returns false if it could not be opened. */
async function printEvents(address: string, stopping: AbortSignal): Promise<boolean> {
  const opening = AbortSignal.any([stopping, AbortSignal.timeout(REDIS_TIMEOUT_MS)])
  const ready = await fetch(`${address}/readyz`, { signal: opening }).catch(() => null)
  if (ready?.ok !== true) return false
  const response = await fetch(`${address}/events`, { signal: stopping }).catch(() => null)
  if (response?.ok !== true || response.body === null) return false
  console.log(`changes of ${address}/events; press Ctrl-C to stop`)
  let rest = ''
  const decoder = new TextDecoder()
  try {
    for await (const chunk of response.body) {
      const messages = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n\n')
      rest = messages.pop() ?? ''
      for (const message of messages) printMessage(message)
    }
  } catch (error) {
    // A stopped invalidator ends the stream, a killed one breaks the connection.
    if (!stopping.aborted && !(error instanceof TypeError)) throw error
  }
  if (stopping.aborted) return true
  throw new ConfigurationError(`${address}/events has ended: is the invalidator running?`)
}

function printMessage(message: string): void {
  const [, event, data] = /^event: (\w+)\ndata: (.*)$/s.exec(message) ?? []
  if (event === 'skipped') {
    const { count } = JSON.parse(data ?? '') as { readonly count: number }
    console.log(`${count} changes are not shown`)
  }
  if (event === 'change') printChange(JSON.parse(data ?? '') as Change)
}

function printChange(change: Change): void {
  const { atMs, operation, table, columns, rows, entries, more, flushed, delayMs } = change
  const changed = columns === null ? '' : ` (${columns.join(', ')})`
  const count = rows === null ? '' : `  ${rows} ${rows === 1 ? 'row' : 'rows'}`
  const delay = delayMs === null ? '' : `  applied after ${delayMs.toFixed(1)} ms`
  console.log(
    `${timeOf(atMs)}  ${[operation, table].filter(Boolean).join('  ')}${changed}${count}${delay}`,
  )
  for (const { resource, reason } of flushed) console.log(`    flush  ${resource} (${reason})`)
  for (const { key } of entries) console.log(`    invalidate ${key}`)
  if (more > 0) console.log(`    invalidate and ${more} more`)
}

const timeOf = (atMs: number) => new Date(atMs).toISOString().slice(11, 23)

async function tailLog(databaseUrl: string, prefix: string, stopping: AbortSignal): Promise<void> {
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
          console.log(`    invalidate ${bareKey(prefix, line)}`)
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

function describe(event: Event, rules: InstalledRules): string {
  const { op, version, tableId, keys, atMs } = event
  const time = timeOf(atMs)
  if (op === 'F') return `${time}  flush  ${String(keys?.[0])}`
  const table = rules.find(version, tableId)
  const changed = changedColumns(event, rules)
  const columns = changed === null ? '' : ` (${changed.join(', ')})`
  const rows = shorten(
    (keys ?? []).map((row) => `[${[row].flat().join(', ')}]`),
    SHOWN_ROWS,
  )
  const names = keys === null ? '' : `  ${table?.keys.join(', ')} = ${rows.join(' ')}`
  return `${time}  ${OPERATIONS[op]}  ${rules.nameOf(tableId) ?? `table ${tableId}`}${columns}${names}`
}

const shorten = (items: readonly string[], most: number): readonly string[] =>
  items.length <= most ? items : [...items.slice(0, most), `and ${items.length - most} more`]

import type { Logger } from 'winston'
import {
  beginLookups,
  errorCode,
  type Event,
  type Files,
  followLinks,
  type InstalledRules,
  readFiles,
  readRules,
  TableFiles,
  TablesRewritten,
  type Window,
  type WorkerSession,
} from '../db/event-log/index.ts'
import { compileRules, entryKey, type ResourceRules } from '../shared/cache/index.ts'
import { setImmediate } from 'node:timers/promises'
import { LIMITS } from './limits.ts'
import {
  add,
  createMapping,
  type FlushReason,
  type Lookup,
  type Mapped,
  type Mapping,
} from './mapping.ts'

/** Translates events into entries, in the snapshot in which the events were read. */
export interface Translation {
  /** Reads the installed rules. A new installation numbers its versions and tables anew. */
  learn(): Promise<unknown>
  /** Call it before each snapshot: it remembers the files of the tables of the lookups. */
  beginWindow(): Promise<void>
  /**
   * Returns the entries of some resources that a window makes stale. Flushes what cannot be mapped.
   */
  map(window: Window, resources: readonly ResourceRules[]): Promise<Mapped>
  /** Returns the table of an event; `none` for a flush on demand and for an unknown table. */
  tableOf(event: Pick<Event, 'tableId'>): string
  /** The installed rules that were read last. */
  readonly rules: InstalledRules | undefined
  /**
   * Adds the entries that the lookups find. Flushes the resource if they are too many or take too long.
   * @throws LookupFailed if a query failed; the transaction is then aborted.
   * @throws TablesRewritten if a rewrite since `beginWindow` was not MVCC-safe.
   */
  follow(
    lookups: readonly Lookup[],
    keys: Map<string, Set<string>>,
    flush: Map<string, FlushReason>,
  ): Promise<void>
}

/** Thrown if lookups could not be run: their resources must be flushed. */
export class LookupFailed extends Error {
  override readonly name = 'LookupFailed'
  readonly resources: readonly string[]

  constructor(resources: readonly string[], cause: unknown) {
    super(`lookups of ${resources.join(', ')} failed`, { cause })
    this.resources = resources
  }
}

export interface TranslationDeps {
  readonly session: Pick<WorkerSession, 'client'>
  readonly catalog: readonly ResourceRules[]
  readonly prefix: string
  readonly logger: Logger
  /** Called between steps of work to ping the session, if that is due. */
  readonly pause: () => Promise<void>
}

/** Creates a translation. It reads the installed rules again if an event has an unknown version. */
export function createTranslation(deps: TranslationDeps): Translation {
  const { session, catalog, prefix, logger, pause } = deps
  let known: { readonly rules: InstalledRules; readonly mapping: Mapping } | undefined

  const files = new TableFiles()
  let filesBefore = files.known
  const tables = compileRules(catalog).tables.map(({ name }) => name)

  async function learn() {
    const rules = await readRules(session.client)
    return (known = { rules, mapping: createMapping(catalog, rules, prefix) })
  }

  return {
    learn,

    get rules() {
      return known?.rules
    },

    async beginWindow() {
      if (!files.knows(tables)) files.observe(tables, await readFiles(session.client, tables))
      filesBefore = files.known
    },

    tableOf: ({ tableId }) => known?.rules.nameOf(tableId) ?? 'none',

    async map({ events, coarse, everything }, resources) {
      if (everything) {
        const flush = new Map(resources.map(({ name }) => [name, 'backlog' as const]))
        return { keys: new Map(), flush, lookups: [] }
      }
      const isUnknown = events.some(
        (event) => event.op !== 'F' && !known?.rules.find(event.version, event.tableId),
      )
      const { mapping } = isUnknown || !known ? await learn() : known
      try {
        const mapped = attempt(() => mapping.begin(resources, coarse))
        for (let from = 0; from < events.length;) {
          const turn = turnOf(events, from)
          from += turn.length
          attempt(() => mapped.add(turn))
          if (from === events.length) break
          await setImmediate()
          // A session that was lost must not count as an error of the mapping.
          await pause()
        }
        return attempt(() => mapped.finish())
      } catch (error) {
        if (!(error instanceof MappingFailed)) throw error
        logger.error('could not map events, flushing every resource', { error: error.cause })
        const flush = new Map(resources.map(({ name }) => [name, 'mapping failed' as const]))
        return { keys: new Map(), flush, lookups: [] }
      }
    },

    async follow(lookups, keys, flush) {
      if (lookups.length === 0) return
      const { client } = session
      const startedAtMs = performance.now()
      for (let from = 0; from < lookups.length; from += LIMITS.lookupsAtOnce) {
        const group = lookups.slice(from, from + LIMITS.lookupsAtOnce)
        const isLast = from + group.length >= lookups.length
        if (from > 0) await pause()
        if (performance.now() - startedAtMs > LIMITS.lookupsMs) {
          logger.warn('lookups took too long, flushing the resources of the remaining ones')
          for (const { resource } of lookups.slice(from)) flush.set(resource.name, 'lookup failed')
          await checkFiles(readFiles(client, tables))
          return
        }
        const begun = from === 0 ? beginLookups(client) : Promise.resolve()
        const queries = group.map(({ rule, values }) =>
          followLinks(client, rule.query, values, LIMITS.lookupRows),
        )
        // Sent after the lookups, which lock their tables, so that no rewrite follows it.
        const filesQuery = isLast ? readFiles(client, tables) : undefined
        const settled = Promise.allSettled([begun, filesQuery])
        const answers = await Promise.allSettled(queries)
        await settled
        for (const [index, answer] of answers.entries()) {
          const { resource } = group[index] as Lookup
          try {
            // The first failure aborted the transaction, so the lookups after it failed too.
            if (answer.status === 'rejected') throw answer.reason
            if (answer.value.length > LIMITS.lookupRows) {
              flush.set(resource.name, 'too many keys')
              continue
            }
            for (const params of answer.value) {
              add(keys, resource, entryKey(prefix, resource, params))
            }
            const count = keys.get(resource.name)?.size ?? 0
            if (count > LIMITS.keysPerResource) flush.set(resource.name, 'too many keys')
          } catch (error) {
            // After a lock time-out or a statement time-out, the remaining lookups would fail too.
            const end = hasGivenUp(error) ? lookups.length : from + index + 1
            throw new LookupFailed(
              lookups.slice(from + index, end).map((lookup) => lookup.resource.name),
              error,
            )
          }
        }
        if (filesQuery) await checkFiles(filesQuery)
      }
    },
  }

  /** @throws TablesRewritten if a table has another file than before the snapshot. */
  async function checkFiles(found: Promise<Files>): Promise<void> {
    const changed = files.observe(tables, await found, filesBefore)
    if (changed.length > 0) throw new TablesRewritten(changed)
  }
}

class MappingFailed extends Error {
  override readonly name = 'MappingFailed'
}

function attempt<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw new MappingFailed('could not map events', { cause: error })
  }
}

/** Returns the events to map before the event loop gets its turn, by their number of rows. */
function turnOf(events: readonly Event[], from: number): readonly Event[] {
  let rows = 0
  let to = from
  while (to < events.length && rows < LIMITS.rowsPerTurn) rows += events[to++]?.keys?.length ?? 1
  return events.slice(from, to)
}

/** lock_not_available, query_canceled */
const hasGivenUp = (error: unknown) => ['55P03', '57014'].includes(errorCode(error) ?? '')

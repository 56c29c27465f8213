import type { Logger } from 'winston'
import type { Event } from '../db/event-log/event.ts'
import { beginLookups, findFiles, followLinks } from '../db/event-log/lookup.ts'
import { type InstalledRules, readRules } from '../db/event-log/rules.ts'
import type { WorkerSession } from '../db/event-log/session.ts'
import { type Files, TableFiles, TablesRewritten } from '../db/event-log/table-files.ts'
import type { Window } from '../db/event-log/window.ts'
import { compileRules } from '../shared/cache/compile.ts'
import { entryKey } from '../shared/cache/key.ts'
import type { ResourceRules } from '../shared/cache/resource.ts'
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

/** Turns events into entries, in the snapshot that the events were read in. */
export interface Translation {
  /** Reads what numbers mean: an installation that was removed and made again begins them again. */
  learn(): Promise<unknown>
  /** Before each snapshot: remembers in which files the tables of the lookups are. */
  beginWindow(): Promise<void>
  /** What a window makes stale of some resources. What cannot be mapped flushes them. */
  map(window: Window, resources: readonly ResourceRules[]): Promise<Mapped>
  /** Which table an event tells of; `none` for a flush on demand, and for what no rules know. */
  tableOf(event: Pick<Event, 'tableId'>): string
  /**
   * Adds what the lookups lead to, or flushes where that is too much or takes too long.
   * @throws LookupFailed, after which the transaction is spoilt.
   * @throws TablesRewritten when a table was not MVCC-safe since `beginWindow`.
   */
  follow(
    lookups: readonly Lookup[],
    keys: Map<string, Set<string>>,
    flush: Map<string, FlushReason>,
  ): Promise<void>
}

/** Lookups could not be run: their resources have to be flushed. */
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
  /** Called between pieces of work: says that the session is alive, where that is due. */
  readonly pause: () => Promise<void>
}

/** Learns the installed rules again by itself where an event is of a version that it does not know. */
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

    async beginWindow() {
      if (!files.knows(tables)) files.observe(tables, await findFiles(session.client, tables))
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
        const mapped = mapping.begin(resources, coarse)
        let rows = 0
        for (const event of events) {
          mapped.add([event])
          rows += event.keys?.length ?? 1
          if (rows < LIMITS.rowsPerTurn) continue
          rows = 0
          await setImmediate()
          await pause()
        }
        return mapped.finish()
      } catch (error) {
        logger.error('events could not be mapped, everything is flushed', { error })
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
          logger.warn('lookups took too long, the resources of the rest are flushed')
          for (const { resource } of lookups.slice(from)) flush.set(resource.name, 'lookup failed')
          await seeFiles(findFiles(client, tables))
          return
        }
        const begun = from === 0 ? beginLookups(client) : Promise.resolve()
        const asked = group.map(({ rule, values }) =>
          followLinks(client, rule.query, values, LIMITS.lookupRows),
        )
        // Sent behind the lookups, so that it sees the files that they have locked.
        const filesAsked = isLast ? findFiles(client, tables) : undefined
        const settled = Promise.allSettled([begun, filesAsked])
        const answers = await Promise.allSettled(asked)
        await settled
        for (const [index, answer] of answers.entries()) {
          const { resource } = group[index] as Lookup
          try {
            // The first that failed has spoilt the transaction for those behind it.
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
            // Behind one that waited for a lock in vain, or was too slow, stand others that would be.
            const end = hasGivenUp(error) ? lookups.length : from + index + 1
            throw new LookupFailed(
              lookups.slice(from + index, end).map((lookup) => lookup.resource.name),
              error,
            )
          }
        }
        if (filesAsked) await seeFiles(filesAsked)
      }
    },
  }

  /** @throws TablesRewritten */
  async function seeFiles(asked: Promise<Files>): Promise<void> {
    const changed = files.observe(tables, await asked, filesBefore)
    if (changed.length > 0) throw new TablesRewritten(changed)
  }
}

/** lock_not_available, query_canceled */
const hasGivenUp = (error: unknown) =>
  error instanceof Error && 'code' in error && (error.code === '55P03' || error.code === '57014')

import type { Logger } from 'winston'
import type { Event } from '../db/event-log/event.ts'
import { beginLookups, followLinks } from '../db/event-log/lookup.ts'
import { type InstalledRules, readRules } from '../db/event-log/rules.ts'
import type { WorkerSession } from '../db/event-log/session.ts'
import type { Window } from '../db/event-log/window.ts'
import { entryKey } from '../shared/cache/key.ts'
import type { ResourceRules } from '../shared/cache/resource.ts'
import { add, createMapping, type Lookup, type Mapped, type Mapping } from './mapping.ts'

/** Turns events into entries, in the snapshot that the events were read in. */
export interface Translation {
  /** Reads what numbers mean: an installation that was removed and made again begins them again. */
  learn(): Promise<unknown>
  /** What a window makes stale of some resources. What cannot be mapped flushes them. */
  map(window: Window, resources: readonly ResourceRules[]): Promise<Mapped>
  /** Which table an event tells of; `none` for a flush on demand, and for what no rules know. */
  tableOf(event: Pick<Event, 'tableId'>): string
  /**
   * Adds what the lookups lead to.
   * @throws LookupFailed, after which the transaction is spoilt.
   */
  follow(lookups: readonly Lookup[], keys: Map<string, Set<string>>): Promise<void>
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
}

/** Learns the installed rules again by itself where an event is of a version that it does not know. */
export function createTranslation(deps: TranslationDeps): Translation {
  const { session, catalog, prefix, logger } = deps
  let known: { readonly rules: InstalledRules; readonly mapping: Mapping } | undefined

  async function learn() {
    const rules = await readRules(session.client)
    return (known = { rules, mapping: createMapping(catalog, rules, prefix) })
  }

  return {
    learn,

    tableOf: ({ tableId }) => known?.rules.nameOf(tableId) ?? 'none',

    async map({ events, coarse }, resources) {
      const isUnknown = events.some(
        (event) => event.op !== 'F' && !known?.rules.find(event.version, event.tableId),
      )
      const { mapping } = isUnknown || !known ? await learn() : known
      try {
        return mapping.map(events, resources, coarse)
      } catch (error) {
        logger.error('events could not be mapped, everything is flushed', { error })
        const flush = new Map(resources.map(({ name }) => [name, 'mapping failed' as const]))
        return { keys: new Map(), flush, lookups: [] }
      }
    },

    async follow(lookups, keys) {
      if (lookups.length === 0) return
      const { client } = session
      const [, ...answers] = await Promise.allSettled([
        beginLookups(client),
        ...lookups.map(({ rule, values }) => followLinks(client, rule.query, values)),
      ])
      for (const [index, answer] of answers.entries()) {
        const { resource } = lookups[index] as Lookup
        try {
          // The first that failed has spoilt the transaction for those behind it.
          if (answer.status === 'rejected') throw answer.reason
          for (const params of answer.value) add(keys, resource, entryKey(prefix, resource, params))
        } catch (error) {
          // Behind one that waited for a lock in vain stand others that would wait for the same.
          const failed = isLocked(error) ? lookups.slice(index) : lookups.slice(index, index + 1)
          throw new LookupFailed(
            failed.map((lookup) => lookup.resource.name),
            error,
          )
        }
      }
    },
  }
}

/** lock_not_available */
const isLocked = (error: unknown) =>
  error instanceof Error && 'code' in error && error.code === '55P03'

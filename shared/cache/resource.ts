import type { Transaction } from 'kysely'
import type { TableCreation } from '../../db/event-log/definition.ts'
import type { Database } from '../../db/schema.ts'
import type { Rule } from './rule.ts'

/** Values that name one entry: ids as canonical decimal text, since a bigint outgrows a number. */
export type Params = Readonly<Record<string, string>>

/** What the invalidator, the installer and the docs know of a resource: no loader, only identity and rules. */
export interface ResourceRules {
  /** Stands in the watermark, in metrics and in `CACHE_RESOURCES`. */
  readonly name: string
  /** Raised whenever the meaning or shape of the stored bytes changes; part of every key. */
  readonly version: number
  /** Such as `staff:profile:{profile_id}`; each `{name}` is a parameter. */
  readonly key: string
  readonly staleWhen: readonly Rule[]
  /** Tables of `staleWhen` that are created with the event log, by name. */
  readonly creates?: Readonly<Record<string, TableCreation>>
}

/** What a loader found: the finished JSON text of the response. */
export interface Loaded {
  readonly body: string
  /** How long until the answer changes without a write (an end date passes); shortens the TTL. */
  readonly expiresInMs?: number
  /** False: serve it, but do not keep it (a page past the end, a filter that matches nothing). */
  readonly cacheable?: boolean
}

/**
 * Reads one variant of one entry from the primary, inside one REPEATABLE READ READ ONLY
 * transaction that the engine opened after it took the lease. Never reads the cache.
 * `null` says that the thing does not exist; that is cached too, for a shorter time.
 */
export type Load = (
  trx: Transaction<Database>,
  params: Params,
  variant: string,
) => Promise<Loaded | null>

/** A kind of cached answer. */
export interface Resource extends ResourceRules {
  readonly ttlMs: number
  /** Whether an expired entry may be served when the load fails. Never for access, nor for what hides people. */
  readonly staleIfError: boolean
  /**
   * Variants that always have a place in their entry. An entry with too many variants drops
   * others for a new one, any but these; so name those of an open set that are asked for most.
   */
  readonly reserved?: readonly string[]
  /**
   * Whether a cached body of this variant was made by `load`. By default Redis is trusted. Any other
   * value, such as a cached absence, counts as absent and is replaced.
   */
  readonly isGenuine?: (body: Buffer, params: Params, variant: string) => boolean
  readonly load: Load
}

/** Freezes a resource and checks its key pattern, so that a mistake shows at start and not in Redis. */
export function defineResource<R extends ResourceRules>(resource: R): Readonly<R> {
  const params = paramsOf(resource)
  for (const rule of resource.staleWhen) {
    if ('key' in rule && Object.keys(rule.key).toSorted().join() !== params.toSorted().join()) {
      throw new Error(`${resource.name}: a rule on ${rule.table} does not name every parameter`)
    }
  }
  return Object.freeze(resource)
}

/** The parameters in a resource's key pattern, in their order. */
export function paramsOf({ key }: Pick<ResourceRules, 'key'>): string[] {
  return [...key.matchAll(/\{(\w+)\}/g)].map(([, name]) => name as string)
}

/** The tables that its loader and its lookups read: all of them are watched, which a test proves. */
export function tablesOf(resource: ResourceRules): readonly string[] {
  const known = tables.get(resource)
  if (known) return known
  const found = [...new Set(resource.staleWhen.map(({ table }) => table))]
  tables.set(resource, found)
  return found
}

const tables = new WeakMap<ResourceRules, readonly string[]>()

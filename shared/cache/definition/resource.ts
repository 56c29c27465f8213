import type { Transaction } from 'kysely'
import type { TableCreation } from '../../../db/event-log/index.ts'
import type { Rule } from './rule.ts'

/**
 * Values that identify one entry. Ids are canonical decimal text, since a bigint exceeds a number.
 */
export type Params = Readonly<Record<string, string>>

/**
 * Identity and rules of a resource without its loader, for the invalidator, the installer and the
 * docs.
 */
export interface ResourceRules {
  /** Used in watermarks, metrics and `CACHE_RESOURCES`. */
  readonly name: string
  /** Raise it whenever the meaning or shape of the stored bytes changes. Part of every key. */
  readonly version: number
  /**
   * Key pattern, such as `staff:profile:{profile_id}`: words and parameters, with colons between them.
   */
  readonly key: string
  readonly staleWhen: readonly Rule[]
  /** Tables of `staleWhen` that are created with the event log, by name. */
  readonly creates?: Readonly<Record<string, TableCreation>>
}

/** Result of a loader: the finished JSON text of the response. */
export interface Loaded {
  readonly body: string
  /** Time until the answer changes without a write, such as a passing end date. Shortens the TTL. */
  readonly expiresInMs?: number
  /** False: serve the answer but do not store it (a page past the end, a filter without matches). */
  readonly cacheable?: boolean
}

/**
 * Reads one variant of one entry from the primary. It runs in one REPEATABLE READ READ ONLY transaction
 * that the engine opens after it took the lease, and never reads the cache. Returns `null` if the
 * entity does not exist; that is cached too, for a shorter time.
 */
export type Load<DB> = (
  trx: Transaction<DB>,
  params: Params,
  variant: string,
) => Promise<Loaded | null>

/** A kind of cached answer, with its loader. */
export interface Resource<DB> extends ResourceRules {
  readonly ttlMs: number
  /**
   * Whether an expired entry may be served if the load fails. Never for permissions, nor for data
   * that hides people.
   */
  readonly staleIfError: boolean
  /**
   * Variants that are never evicted from their entry. A full entry evicts other variants for a new one.
   * If the set of variants is open, list those that are requested most.
   */
  readonly reserved?: readonly string[]
  /**
   * Returns whether `load` made this cached body. By default Redis is trusted. Any other value, such as a
   * cached absence, counts as absent and is replaced.
   */
  readonly isGenuine?: (body: Buffer, params: Params, variant: string) => boolean
  readonly load: Load<DB>
}

/**
 * Freezes a resource and checks its rules, so that a mistake fails at start.
 * @throws Error if the key pattern has another form, or a rule does not name every parameter of it.
 */
export function defineResource<R extends ResourceRules>(resource: R): Readonly<R> {
  const params = paramsOf(resource)
  const { name, key } = resource
  const isPattern = key.split(':').every((part) => /^(?:[\w-]+|\{\w+\})$/.test(part))
  if (!isPattern || new Set(params).size < params.length) {
    throw new Error(
      `${name}: the key ${key} is not a list of words and different parameters with colons between them`,
    )
  }
  for (const rule of resource.staleWhen) {
    if ('key' in rule && Object.keys(rule.key).toSorted().join() !== params.toSorted().join()) {
      throw new Error(`${resource.name}: a rule on ${rule.table} does not name every parameter`)
    }
  }
  return Object.freeze(resource)
}

/** Returns the parameters of a resource's key pattern, in order. */
export function paramsOf({ key }: Pick<ResourceRules, 'key'>): string[] {
  return [...key.matchAll(/\{(\w+)\}/g)].map(([, name]) => name as string)
}

/**
 * Returns the tables that a resource's loader and lookups read. All are watched, which a test
 * verifies.
 */
export function tablesOf(resource: ResourceRules): readonly string[] {
  const known = tables.get(resource)
  if (known) return known
  const found = [...new Set(resource.staleWhen.map(({ table }) => table))]
  tables.set(resource, found)
  return found
}

const tables = new WeakMap<ResourceRules, readonly string[]>()

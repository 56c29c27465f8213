import type { Transaction } from 'kysely'
import type { Database } from '../../db/schema.ts'
import type { Loaded, Params } from '../cache/index.ts'
import type { Load } from './cache.ts'

/** Finds one variant, often just its finished JSON text; `null` if the entity does not exist. */
export type Find = (trx: Transaction<Database>, params: Params) => Promise<Loaded | string | null>

/**
 * Returns a loader with a query for each variant. It throws for any other variant, which is a bug.
 */
export function byVariant(variants: Readonly<Record<string, Find>>): Load {
  return async (trx, params, variant) => {
    const find = variants[variant]
    if (!find) throw new Error(`no variant ${variant}`)
    const found = await find(trx, params)
    return typeof found === 'string' ? { body: found } : found
  }
}

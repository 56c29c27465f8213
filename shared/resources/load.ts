import type { Transaction } from 'kysely'
import type { Database } from '../../db/schema.ts'
import type { Load, Params } from '../cache/resource.ts'

/** Finds the finished JSON text of one variant, or null when the thing does not exist. */
export type Find = (trx: Transaction<Database>, params: Params) => Promise<string | null>

/** A loader that has a query for each variant. Another variant is a bug, and throws. */
export function byVariant(variants: Readonly<Record<string, Find>>): Load {
  return async (trx, params, variant) => {
    const find = variants[variant]
    if (!find) throw new Error(`no variant ${variant}`)
    const body = await find(trx, params)
    return body === null ? null : { body }
  }
}

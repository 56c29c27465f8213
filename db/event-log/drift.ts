import type pg from 'pg'
import type { InstalledTable } from './definition.ts'
import { identifier } from './quote.ts'
import { tableTriggers } from './triggers.ts'

/** A trigger of ours as the catalog has it. */
export interface CatalogTrigger {
  readonly name: string
  /** `A` fires always; anything else may be silent. */
  readonly enabled: string
  /** `pg_trigger.tgtype`: 4 insert, 8 delete, 16 update, 32 truncate, each after and for each statement. */
  readonly type: number
  /** False when a condition or a column list keeps it from firing. */
  readonly unconditional: boolean
  readonly function: string
  readonly args: string
  readonly body: string
  /** Runs with the owner's rights and finds nothing but built-in objects by bare names. */
  readonly guarded: boolean
}

const TYPE_OF = { insert: 4, delete: 8, update: 16, truncate: 32 } as const

/** The triggers of ours on one table, whatever has become of them. */
export async function readInstalledTriggers(
  client: pg.Client,
  table: string,
): Promise<CatalogTrigger[]> {
  const { rows } = await client.query<CatalogTrigger>(
    `select t.tgname as name, t.tgenabled as enabled, t.tgtype as type, p.prosrc as body,
            n.nspname || '.' || p.proname as function,
            t.tgqual is null and t.tgattr::text = '' as unconditional,
            p.prosecdef and p.proconfig = '{"search_path=pg_catalog, pg_temp"}' as guarded,
            replace(encode(t.tgargs, 'escape'), '\\000', ',') as args
     from pg_trigger t
     join pg_proc p on p.oid = t.tgfoid
     join pg_namespace n on n.oid = p.pronamespace
     where t.tgrelid = to_regclass($1) and t.tgname like 'zz\\_invalidation\\_%'`,
    [identifier(table)],
  )
  return rows
}

/** Whether a table has exactly the triggers that its rules ask for, all of them firing always. */
export function isWhole(
  installed: readonly CatalogTrigger[],
  table: InstalledTable,
  version: number,
): boolean {
  const { functions, triggers } = tableTriggers(table, version)
  return triggers.every(({ name, call }) => {
    const verb = name.slice('zz_invalidation_'.length) as keyof typeof TYPE_OF
    const found = installed.find((trigger) => trigger.name === name)
    const wanted = functions.find((candidate) => call === `${candidate.name}()`)
    return (
      found?.enabled === 'A' &&
      found.type === TYPE_OF[verb] &&
      found.unconditional &&
      found.guarded &&
      (wanted === undefined
        ? found.function === 'invalidation.log_truncate' && found.args === `${version},${table.id},`
        : found.function === wanted.name && found.body === wanted.body)
    )
  })
}

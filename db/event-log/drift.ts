import { createHash } from 'node:crypto'
import type pg from 'pg'
import type { InstalledTable } from './definition.ts'
import { identifier } from './quote.ts'
import { sharedBodies } from './shared-functions.ts'
import { tableTriggers } from './triggers.ts'

/** How one watched table stands in the catalog. */
export interface TableState {
  /** Whether it has exactly the triggers that its rules ask for, all of them firing always. */
  readonly isWhole: boolean
  /** The rules that its triggers do follow: earlier ones, while an install waits for its turn. */
  readonly follows: InstalledTable | null
  /**
   * Differs after anything that may have let a change pass unseen: a trigger or function that was
   * touched, even if it was put back, and a table that was renamed, rewritten or redefined.
   */
  readonly fingerprint: string
}

/** A trigger of ours as the catalog has it. */
interface CatalogTrigger {
  readonly name: string
  /** `A` fires always; anything else may be silent. */
  readonly enabled: string
  /** `pg_trigger.tgtype`: 4 insert, 8 delete, 16 update, 32 truncate, each after and for each statement. */
  readonly type: number
  /** False when a condition or a column list keeps it from firing. */
  readonly unconditional: boolean
  readonly function: string
  readonly args: string
  /** Of the function's body. */
  readonly sha256: string
  /** Runs with the owner's rights and finds nothing but built-in objects by bare names. */
  readonly guarded: boolean
}

const TYPE_OF = { insert: 4, delete: 8, update: 16, truncate: 32 } as const

/**
 * Compares the triggers of some tables with the rules that they should follow. Whoever touches a
 * trigger takes a lock that no writer's transaction shares, so what a scan sees whole again has no
 * unseen change that is still uncommitted.
 *
 * The `xmin` of catalog rows is part of the fingerprint: a trigger that was disabled and enabled
 * again between two scans is the same in every other column. (VACUUM and ANALYZE leave it alone.)
 */
export async function scanTables(
  client: pg.ClientBase,
  tables: readonly InstalledTable[],
  earlier: (table: string) => readonly InstalledTable[] = () => [],
): Promise<ReadonlyMap<string, TableState>> {
  const { rows } = await client.query<{
    name: string
    fingerprint: string
    triggers: readonly CatalogTrigger[] | null
  }>(
    `select w.name, t.triggers,
            encode(sha256(convert_to(concat_ws('/', c.oid, c.xmin, t.history, a.columns), 'UTF8')), 'hex')
              as fingerprint
     from unnest($1::text[], $2::text[]) w (name, identifier)
     left join pg_class c on c.oid = to_regclass(w.identifier)
     left join lateral (
       select json_agg(json_build_object(
                'name', t.tgname, 'enabled', t.tgenabled, 'type', t.tgtype,
                'unconditional', t.tgqual is null and t.tgattr::text = '',
                'function', n.nspname || '.' || p.proname,
                'args', replace(encode(t.tgargs, 'escape'), '\\000', ','),
                'sha256', encode(sha256(convert_to(p.prosrc, 'UTF8')), 'hex'),
                'guarded', p.prosecdef and p.proconfig = '{"search_path=pg_catalog, pg_temp"}'
              )) as triggers,
              string_agg(concat_ws(' ', t.oid, t.xmin, p.oid, p.xmin), ',' order by t.oid) as history
       from pg_trigger t
       join pg_proc p on p.oid = t.tgfoid
       join pg_namespace n on n.oid = p.pronamespace
       where t.tgrelid = c.oid and t.tgname like 'zz\\_invalidation\\_%'
     ) t on true
     left join lateral (
       select string_agg(concat_ws(' ', attnum, attname, atttypid, atttypmod), ',' order by attnum) as columns
       from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped
     ) a on true`,
    [tables.map(({ name }) => name), tables.map(({ name }) => identifier(name))],
  )
  const found = new Map(rows.map((row) => [row.name, row]))
  return new Map(
    tables.map((table) => {
      const { triggers, fingerprint = '' } = found.get(table.name) ?? {}
      const follows =
        [table, ...earlier(table.name)].find((one) => isWhole(triggers ?? [], one)) ?? null
      return [table.name, { isWhole: follows === table, follows, fingerprint }]
    }),
  )
}

function isWhole(installed: readonly CatalogTrigger[], table: InstalledTable): boolean {
  return expectedTriggers(table).every((wanted) => {
    const found = installed.find(({ name }) => name === wanted.name)
    return (
      found?.enabled === 'A' &&
      found.type === TYPE_OF[wanted.verb] &&
      found.unconditional &&
      found.guarded &&
      found.function === wanted.function &&
      found.args === wanted.args &&
      found.sha256 === wanted.sha256
    )
  })
}

interface ExpectedTrigger {
  readonly name: string
  readonly verb: keyof typeof TYPE_OF
  readonly function: string
  readonly args: string
  readonly sha256: string
}

/** The one trigger function that all tables share. */
const LOG_TRUNCATE = 'invalidation.log_truncate'

function expectedTriggers(table: InstalledTable): readonly ExpectedTrigger[] {
  const known = compiled.get(table)
  if (known) return known
  const { functions, triggers } = tableTriggers(table)
  const expected = triggers.map(({ name, call }): ExpectedTrigger => {
    const own = functions.find((candidate) => call === `${candidate.name}()`)
    const body = own?.body ?? sharedBodies.get(LOG_TRUNCATE) ?? ''
    return {
      name,
      verb: name.slice('zz_invalidation_'.length) as keyof typeof TYPE_OF,
      function: own?.name ?? LOG_TRUNCATE,
      args: own ? '' : `${table.version},${table.id},`,
      sha256: createHash('sha256').update(body).digest('hex'),
    }
  })
  compiled.set(table, expected)
  return expected
}

/** A scan comes every two seconds, and the same tables with it. */
const compiled = new WeakMap<InstalledTable, readonly ExpectedTrigger[]>()

import { createHash } from 'node:crypto'
import type pg from 'pg'
import { type CatalogTable, type CatalogTrigger, readCatalog, readLogProblems } from './catalog.ts'
import type { InstalledTable } from './definition.ts'
import type { Problem } from './problem.ts'
import { sharedBodies } from './shared-functions.ts'
import { tableTriggers } from './triggers.ts'
import { environmentalProblems, tableProblems } from './watchable.ts'

/** The state of one watched table in the catalog. */
export interface TableState {
  /** Whether it has all the triggers that its rules require, each ENABLE ALWAYS. */
  readonly isIntact: boolean
  /** The definition that its triggers implement: an earlier one while an install waits for locks. */
  readonly follows: InstalledTable | null
  /**
   * Differs after anything that may have left a change unlogged: a change of a trigger or function,
   * even an undone one, and a table that was renamed, rewritten or redefined.
   */
  readonly fingerprint: string
  readonly found: CatalogTable | undefined
  /** Reasons other than its triggers for which changes may go unlogged or reads be filtered. */
  readonly problems: readonly Problem[]
}

const TYPE_OF = { insert: 4, delete: 8, update: 16, truncate: 32 } as const

/**
 * Compares some tables and their triggers with the rules that they should implement. `earlier` returns
 * former definitions of a table, `known` what the previous inspection read of it.
 */
export async function scanTables(
  client: pg.ClientBase,
  tables: readonly InstalledTable[],
  earlier: (table: string) => readonly InstalledTable[] = () => [],
  known: (table: string) => CatalogTable | undefined = () => undefined,
): Promise<ReadonlyMap<string, TableState>> {
  const names = tables.map(({ name }) => name)
  const catalog = await readCatalog(client, names, known)
  const logProblems = await readLogProblems(client)
  return new Map(
    tables.map((table) => {
      const { name } = table
      const found = catalog.get(name)
      const follows =
        [table, ...earlier(name)].find((one) => isIntact(found?.triggers ?? [], one)) ?? null
      const problems = [
        ...tableProblems(found, name),
        ...primaryKeyProblem(found, follows),
        ...(found ? environmentalProblems(name, found) : []),
        ...logProblems.map((text): Problem => ({ table: name, cause: 'log', text })),
      ]
      const { fingerprint = '' } = found ?? {}
      return [name, { isIntact: follows === table, follows, fingerprint, found, problems }]
    }),
  )
}

/** Triggers match old and new rows by the primary key at the time of installation. */
function primaryKeyProblem(
  found: CatalogTable | undefined,
  follows: InstalledTable | null,
): Problem[] {
  if (!found?.primaryKey.length || !follows) return []
  if (String(found.primaryKey) === String(follows.primaryKey)) return []
  const text = `${follows.name} has another primary key than its triggers were made for`
  return [{ table: follows.name, cause: 'primary key', text }]
}

function isIntact(installed: readonly CatalogTrigger[], table: InstalledTable): boolean {
  return expectedTriggers(table).every((wanted) => {
    const found = installed.find(({ name }) => name === wanted.name)
    return (
      found?.enabled === 'A' &&
      found.type === TYPE_OF[wanted.verb] &&
      found.unconditional &&
      found.isSecurityDefiner &&
      found.settings === (wanted.function === LOG_TRUNCATE ? SAFE_SEARCH_PATH : null) &&
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

/** Settings of a function that does not qualify the names in its body. */
const SAFE_SEARCH_PATH = '{"search_path=pg_catalog, pg_temp"}'

/** The only trigger function that all tables share. */
const LOG_TRUNCATE = 'invalidation.log_truncate'

function expectedTriggers(table: InstalledTable): readonly ExpectedTrigger[] {
  const known = expectedByTable.get(table)
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
  expectedByTable.set(table, expected)
  return expected
}

/** Expected triggers by table: the inspection checks the same tables every two seconds. */
const expectedByTable = new WeakMap<InstalledTable, readonly ExpectedTrigger[]>()

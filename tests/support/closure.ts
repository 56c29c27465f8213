import { CompiledQuery, Kysely, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import type { Database } from '../../db/schema.ts'
import { isLookup, type Params } from '../../shared/cache/index.ts'
import type { Resource } from '../../shared/resources/cache.ts'

/** Parameters and variant of one cached answer. */
export interface Example {
  readonly params: Params
  readonly variant: string
}

/** Tables and columns that the loader of a resource reads. */
export interface Source {
  /** Tables in the plans of its queries. */
  readonly tables: ReadonlySet<string>
  /** All words of its queries. A column whose name is not among them cannot affect an answer. */
  readonly words: ReadonlySet<string>
}

/** Determines what the loader of a resource reads, by loading these examples. */
export async function sourceOf(
  url: string,
  resource: Resource,
  examples: readonly Example[],
): Promise<Source> {
  const statements: CompiledQuery[] = []
  await using db = open(url, (query) => statements.push(query))
  await db.transaction().execute(async (trx) => {
    for (const { params, variant } of examples) await resource.load(trx, params, variant)
  })
  const queries = statements.filter(({ sql }) => !/^(begin|commit)/.test(sql))
  return {
    tables: await tablesIn(url, queries),
    words: new Set(queries.flatMap(({ sql }) => sql.match(/\w+/g) ?? [])),
  }
}

/** Returns the tables that the lookup rules of a resource read. */
function tablesLookedUp(url: string, { staleWhen }: Resource): Promise<Set<string>> {
  const lookups = staleWhen.filter(isLookup).map(({ query, from }) =>
    CompiledQuery.raw(
      query,
      from.map(() => ['1']),
    ),
  )
  return tablesIn(url, lookups)
}

/** Returns the tables that a loader or lookup of a resource reads but none of its rules watches. */
export async function unwatchedTables(
  url: string,
  resource: Resource,
  examples: readonly Example[],
): Promise<string[]> {
  const watched = new Set(resource.staleWhen.map(({ table }) => table))
  const read = [
    ...(await sourceOf(url, resource, examples)).tables,
    ...(await tablesLookedUp(url, resource)),
  ]
  return [...new Set(read)].filter((table) => !watched.has(table)).toSorted()
}

async function tablesIn(url: string, statements: readonly CompiledQuery[]): Promise<Set<string>> {
  const tables = new Set<string>()
  await using db = open(url)
  for (const { sql, parameters } of statements) {
    const explain = CompiledQuery.raw(`explain (verbose, format json) ${sql}`, [...parameters])
    const { rows } = await db.executeQuery(explain)
    const relations = JSON.stringify(rows).matchAll(/"Relation Name":"(\w+)","Schema":"(\w+)"/g)
    for (const [, table = '', schema = ''] of relations) {
      tables.add(schema === 'public' ? table : `${schema}.${table}`)
    }
  }
  return tables
}

function open(url: string, onQuery?: (query: CompiledQuery) => void) {
  const pool = new Pool({ connectionString: url, max: 1 })
  // The last connection may still be closing when the database is dropped.
  pool.on('error', () => {})
  const db = new Kysely<Database>({
    dialect: new PostgresDialect({ pool }),
    log: ({ query }) => onQuery?.(query),
  })
  return Object.assign(db, { [Symbol.asyncDispose]: () => db.destroy() })
}

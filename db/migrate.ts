import { readdir, readFile } from 'node:fs/promises'
import { type Kysely, type Migration, Migrator, sql } from 'kysely'
import { ConfigurationError, parseDatabaseUrl } from './event-log/index.ts'
import { openDatabase } from './database.ts'
import type { Database } from './schema.ts'

const FOLDER = new URL('migrations/', import.meta.url)
const BOOKKEEPING = 'spms_migration'

/**
 * Creates the application tables in an empty database, or migrates them to the current version. Safe
 * to repeat and to run concurrently. Returns the names of the migrations that this call ran.
 * @throws ConfigurationError if another program created the tables.
 */
export async function migrate(url: string): Promise<readonly string[]> {
  const db = openDatabase({ url, poolSize: 2, applicationName: 'spms-migrate' })
  const [schema = 'public'] = parseDatabaseUrl(url).searchPath
  try {
    await rejectForeignTables(db, schema)
    const migrator = new Migrator({
      db,
      provider: { getMigrations: readMigrations },
      migrationTableSchema: schema,
      migrationTableName: BOOKKEEPING,
      migrationLockTableName: `${BOOKKEEPING}_lock`,
    })
    const { error, results = [] } = await migrator.migrateToLatest()
    if (error !== undefined) {
      const failed = results.find(({ status }) => status === 'Error')?.migrationName
      throw failed ? new Error(`migration ${failed} failed`, { cause: error }) : error
    }
    return results.map(({ migrationName }) => migrationName)
  } finally {
    await db.destroy()
  }
}

// One statement, so one snapshot. A concurrent run commits its bookkeeping table before the others, so no
// snapshot shows the others alone.
async function rejectForeignTables(db: Kysely<Database>, schema: string): Promise<void> {
  const { rows } = await sql<{ name: string }>`
    select c.relname as name
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${schema}
      and c.relname in ('users_user', 'projects_project', 'agencies_branch', ${BOOKKEEPING})
  `.execute(db)
  const names = rows.map(({ name }) => name)
  if (names.length > 0 && !names.includes(BOOKKEEPING)) {
    throw new ConfigurationError(
      'this database has SPMS tables that `migrate` did not create: it does not change them. ' +
        'To use the database as it is, run `install`',
    )
  }
}

async function readMigrations(): Promise<Record<string, Migration>> {
  const files = (await readdir(FOLDER)).filter((file) => file.endsWith('.sql'))
  const migrations = files.map(async (file): Promise<[string, Migration]> => {
    const statements = await readFile(new URL(file, FOLDER), 'utf8')
    return [
      file.replace('.sql', ''),
      { up: async (db) => void (await sql.raw(statements).execute(db)) },
    ]
  })
  return Object.fromEntries(await Promise.all(migrations))
}

import { install } from '../db/event-log/index.ts'
import { migrate } from '../db/migrate.ts'
import { seed } from '../scripts/seed/seed.ts'
import { compileRules } from '../shared/cache/index.ts'
import { catalog } from '../shared/resources/index.ts'
import { runStatement } from './statement.ts'

/** A server on which a benchmark may create databases. */
interface Postgres {
  readonly url: string
  urlOf(database: string): string
}

/** Creates a database with triggers and `scale` times the ordinary amount of data. Returns its URL. */
export async function createSeededDatabase(postgres: Postgres, scale: number): Promise<string> {
  const database = `spms_${scale}`
  // A run that was killed leaves its databases.
  await runStatement(postgres.url, `drop database if exists ${database} with (force)`)
  await runStatement(postgres.url, `create database ${database}`)
  const url = postgres.urlOf(database)
  await migrate(url)
  await seed(url, { scale })
  await install(url, compileRules(catalog))
  return url
}

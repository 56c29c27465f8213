import { migrate } from '../../db/migrate.ts'

/** Creates the tables of an empty database, or applies pending migrations. */
export async function runMigrate(url: string): Promise<void> {
  const applied = await migrate(url)
  console.log(applied.length > 0 ? applied.join('\n') : 'nothing to do')
}

import { migrate } from '../../db/migrate.ts'

/** Builds a fresh database, or brings one that was built so up to date. */
export async function runMigrate(url: string): Promise<void> {
  const applied = await migrate(url)
  console.log(applied.length > 0 ? applied.join('\n') : 'nothing to do')
}

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { root } from '../../scripts/paths.ts'

/**
 * Reads the SQL blocks of docs/dba.md: the roles, which precede the installation, and the grants.
 * @throws if the page has fewer than two blocks.
 */
export async function readRoleSql(): Promise<{ readonly roles: string; readonly grants: string }> {
  const page = await readFile(join(root, 'docs/dba.md'), 'utf8')
  const [roles, grants] = [...page.matchAll(/^```sql\n(.*?)^```$/gms)].map(([, sql = '']) => sql)
  if (roles === undefined || grants === undefined)
    throw new Error('docs/dba.md has fewer than two SQL blocks')
  return { roles, grants }
}

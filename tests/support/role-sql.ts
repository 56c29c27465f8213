import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { root } from '../../scripts/paths.ts'

/** The SQL for roles in docs/dba.md: before the installation, and the grants after it. */
export async function readRoleSql(): Promise<{ readonly roles: string; readonly grants: string }> {
  const page = await readFile(join(root, 'docs/dba.md'), 'utf8')
  const [roles, grants] = [...page.matchAll(/^```sql\n(.*?)^```$/gms)].map(([, sql = '']) => sql)
  if (roles === undefined || grants === undefined) throw new Error('the page lacks its SQL')
  return { roles, grants }
}

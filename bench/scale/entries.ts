import type { Redis } from 'ioredis'
import { Client } from 'pg'
import { entryKey, type ResourceRules, paramsOf } from '../../shared/cache/index.ts'
import { catalog } from '../../shared/resources/index.ts'
import type { Servers } from '../servers.ts'

/** The table of each parameter in the keys of entries. */
const TABLES: Readonly<Record<string, string>> = {
  profile_id: 'users_publicstaffprofile',
  user_id: 'users_user',
  project_id: 'projects_project',
}

/** Returns the keys of all possible entries with their resources, except those with an e-mail address. */
export async function findEntries({
  databaseUrl,
  prefix,
}: Servers): Promise<ReadonlyMap<string, string>> {
  const client = new Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    const entries = new Map<string, string>()
    for (const resource of catalog) {
      for (const params of await findParams(client, resource)) {
        entries.set(entryKey(prefix, resource, params), resource.name)
      }
    }
    return entries
  } finally {
    await client.end()
  }
}

async function findParams(client: Client, resource: ResourceRules) {
  const [name] = paramsOf(resource)
  if (name === undefined) return [{}]
  const table = TABLES[name]
  if (table === undefined) return []
  const { rows } = await client.query<{ id: string }>(`select id::text from ${table}`)
  return rows.map(({ id }) => ({ [name]: id }))
}

/** Stores placeholder entries. An invalidator deletes them like real ones. */
export async function fillEntries(redis: Redis, keys: Iterable<string>): Promise<void> {
  const pipeline = redis.pipeline()
  for (const key of keys) pipeline.hset(key, 'bench', '1').pexpire(key, 600_000)
  await pipeline.exec()
}

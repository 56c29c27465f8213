import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { fetchBytes } from '../arms.ts'
import type { Service } from '../service.ts'
import { untilCached } from './until-cached.ts'
import type { System } from './systems.ts'
import type { Target } from './target.ts'

const AFTER_MS = 100

/** Changes a cached response `times` times by SQL. Returns how often it was fresh 100 ms after the commit. */
export async function countFresh(
  { loadCounter }: System,
  service: Service,
  { path, headers, change }: Target,
  { databaseUrl, times }: { readonly databaseUrl: string; readonly times: number },
): Promise<number> {
  const client = new Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    let fresh = 0
    for (let i = 0; i < times; i++) {
      await untilCached(service, loadCounter, () => fetchBytes(service, path, headers))
      const text = `changed ${randomUUID()}`
      await change(client, text)
      await sleep(AFTER_MS)
      const { body } = await fetchBytes(service, path, headers)
      if (body.includes(text)) fresh++
    }
    return fresh
  } finally {
    await client.end()
  }
}

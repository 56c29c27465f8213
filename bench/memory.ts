import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { decodeValue } from '../shared/cache/index.ts'
import { startApi } from './api.ts'
import type { Part } from './bench.ts'
import { shown, shownRange } from './figure.ts'
import { startInvalidator } from './invalidator.ts'
import { findProfileIds, PROFILE_SECTIONS, profileKey, profilePath } from './profiles.ts'
import { median } from './statistics.ts'
import { table } from './table.ts'

const ENTRIES = 100

/** Measures the memory overhead of an entry in Redis over its response bodies. */
export const memory: Part = async (bench) => {
  const { servers, print } = bench
  const invalidator = await startInvalidator(bench)
  const api = await startApi(bench, true)
  const redis = new Redis(servers.redisUrl)
  try {
    const ids = (await findProfileIds(servers.databaseUrl)).slice(0, ENTRIES)
    const rows: string[][] = []
    const medians: number[] = []
    for (const sections of [PROFILE_SECTIONS.slice(0, 1), PROFILE_SECTIONS]) {
      const found = []
      for (const id of ids) found.push(await measure(id, sections))
      const overheads = found.map(({ entryBytes, bodyBytes }) => entryBytes - bodyBytes)
      medians.push(median(overheads))
      rows.push([
        sections.length === 1 ? 'one variant' : `${sections.length} variants`,
        shown(median(found.map(({ bodyBytes }) => bodyBytes))),
        shown(median(overheads)),
        shownRange(overheads),
        shown(median(found.map(({ plainBytes, bodyBytes }) => plainBytes - bodyBytes))),
      ])
    }
    print(
      table(['bytes of an entry', 'bodies', 'overhead', 'of entries', 'as plain strings'], rows),
    )
    return [
      {
        what: 'Redis, overhead of an entry over its body',
        value: medians[0] as number,
        unit: 'bytes',
        budget: { atMost: 200 },
      },
    ]
  } finally {
    redis.disconnect()
    await api.stop()
    await invalidator.stop()
  }

  async function measure(id: string, sections: readonly string[]) {
    const key = profileKey(servers.prefix, id)
    let [bodyBytes, plainBytes] = [0, 0]
    for (const [index, section] of sections.entries()) {
      await fetchUntilStored(`${profilePath(id)}${section}`, key, index + 1)
    }
    for (const value of Object.values(await redis.hgetallBuffer(key))) {
      const body = decodeValue(value)?.body as Buffer
      bodyBytes += body.length
      const plainKey = `${key}:plain`
      await redis.set(plainKey, body)
      plainBytes += Number(await redis.memory('USAGE', plainKey))
      await redis.unlink(plainKey)
    }
    return {
      bodyBytes,
      plainBytes,
      entryBytes: Number(await redis.memory('USAGE', key, 'SAMPLES', 0)),
    }
  }

  /** Retries, because a response does not wait for the fill, and on a busy machine the fill may fail. */
  async function fetchUntilStored(path: string, key: string, variants: number): Promise<void> {
    for (let attempt = 0; attempt < 100; attempt++) {
      const response = await fetch(`${api.origin}${path}`)
      await response.arrayBuffer()
      await sleep(attempt)
      // Fields with ~ are leases whose fill is pending.
      const fields = await redis.hkeys(key)
      if (fields.length >= variants && !fields.some((field) => field.startsWith('~'))) return
    }
    throw new Error(`the response of ${path} was not stored in Redis`)
  }
}

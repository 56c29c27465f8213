import { Redis } from 'ioredis'
import { startApi } from './api.ts'
import type { Part } from './bench.ts'
import { startInvalidator } from './invalidator.ts'
import { findProfileIds, profileKey, profilePath } from './profiles.ts'
import { median, quantile } from './statistics.ts'
import { shown } from './figure.ts'
import { table } from './table.ts'

const SECTIONS = ['', '/hero', '/overview', '/cv']

/** What an entry takes in Redis beyond the bytes that it answers with. */
export const memory: Part = async (bench) => {
  const { servers, say } = bench
  const invalidator = await startInvalidator(bench)
  const api = await startApi(bench, true)
  const redis = new Redis(servers.redisUrl)
  const ids = (await findProfileIds(servers.databaseUrl)).slice(0, 100)
  try {
    const measure = async (id: string, sections: readonly string[]) => {
      let bodyBytes = 0
      for (const section of sections) {
        const response = await fetch(`${api.origin}${profilePath(id)}${section}`)
        bodyBytes += (await response.arrayBuffer()).byteLength
      }
      const key = profileKey(servers.prefix, id)
      // A response does not wait for the fill.
      while ((await redis.hlen(key)) < sections.length) await new Promise(setImmediate)
      const usedBytes = Number(await redis.memory('USAGE', key, 'SAMPLES', 0))
      return { bodyBytes, overheadBytes: usedBytes - bodyBytes }
    }
    const rows: string[][] = []
    const medians: number[] = []
    for (const sections of [SECTIONS.slice(0, 1), SECTIONS]) {
      const found = []
      for (const id of ids) found.push(await measure(id, sections))
      const overheads = found.map(({ overheadBytes }) => overheadBytes)
      medians.push(median(overheads))
      rows.push([
        sections.length === 1 ? 'one variant' : `${sections.length} variants`,
        shown(median(found.map(({ bodyBytes }) => bodyBytes))),
        shown(median(overheads)),
        `${shown(quantile(overheads, 0))} to ${shown(quantile(overheads, 1))}`,
      ])
    }
    say(table(['bytes of an entry', 'bodies', 'overhead', 'of entries'], rows))
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
}

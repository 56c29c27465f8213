import { staffProjects } from '../shared/resources/index.ts'
import { startApi } from './api.ts'
import type { Bench } from './bench.ts'
import { createClient } from './client.ts'
import { openLoop } from './open-loop.ts'
import { findProfiles, projectsPath } from './profiles.ts'

/** Latencies in milliseconds of a client that does not use the changed rows. */
export interface Latencies {
  readonly hit: readonly number[]
  readonly uncached: readonly number[]
}

/** Reads resources from the API that the measured change does not affect. */
export interface Bystander {
  /** Sends requests until the work is done. */
  during<T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly latencies: Latencies }>
  /** Returns the share of reads that were hits. Below about 1, the latencies are not those of hits. */
  hitShare(): Promise<number>
  stop(): Promise<void>
}

const HITS_PER_S = 100
const UNCACHED_PER_S = 20
/** Few, so that reloads of expired entries are rare. */
const HIT_ENTRIES = 50
/** Searches all staff, so that the query is expensive. */
const UNCACHED_PATH = '/api/v1/users/staffprofiles?search=a'

/** Starts an API on any core, and sends requests at fixed rates that do not wait for responses. */
export async function openBystander(bench: Bench): Promise<Bystander> {
  const api = await startApi({ ...bench, cores: null }, true)
  const profiles = await findProfiles(bench.servers.databaseUrl)
  const paths = profiles.slice(0, HIT_ENTRIES).map(({ userId }) => projectsPath(userId))
  const client = createClient(api.origin)
  for (const path of paths) await client.ask(path)

  const countReads = (outcome?: string) =>
    api.count('spms_cache_reads_total', {
      resource: staffProjects.name,
      ...(outcome !== undefined && { outcome }),
    })
  const before = { hits: await countReads('hit'), reads: await countReads() }
  return {
    async during(work) {
      const over = new AbortController()
      const until = over.signal
      const asking = Promise.all([
        openLoop({ perS: HITS_PER_S, until }, (i) => client.ask(paths[i % paths.length] as string)),
        openLoop({ perS: UNCACHED_PER_S, until }, () => client.ask(UNCACHED_PATH)),
      ])
      asking.catch(() => {})
      try {
        const result = await work()
        over.abort()
        const [hit, uncached] = await asking
        return { result, latencies: { hit, uncached } }
      } finally {
        over.abort()
      }
    },
    async hitShare() {
      const hits = (await countReads('hit')) - before.hits
      return hits / ((await countReads()) - before.reads)
    },
    async stop() {
      client[Symbol.dispose]()
      await api.stop()
    },
  }
}

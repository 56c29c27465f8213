import { setTimeout as sleep } from 'node:timers/promises'
import { catalog } from '../shared/resources/index.ts'
import type { Service } from './service.ts'

const POLL_INTERVAL_MS = 20
const LOST_MS = 60_000

/** Returns the milliseconds until the invalidators own all resources, and none more than its share. */
export async function untilSharedOut(invalidators: readonly Service[]): Promise<number> {
  const startedMs = performance.now()
  const share = Math.ceil(catalog.length / invalidators.length)
  for (;;) {
    const owned = await Promise.all(invalidators.map((one) => one.count('spms_resource_owned')))
    const all = owned.reduce((sum, count) => sum + count, 0)
    const tookMs = performance.now() - startedMs
    if (all === catalog.length && Math.max(...owned) <= share) return tookMs
    if (tookMs > LOST_MS)
      throw new Error(
        `the resources are not distributed evenly after ${LOST_MS} ms: ${owned.join(', ')}`,
      )
    await sleep(POLL_INTERVAL_MS)
  }
}

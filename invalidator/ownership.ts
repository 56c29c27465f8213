import { createHash } from 'node:crypto'
import type { WorkerSession } from '../db/event-log/session.ts'
import type { ResourceRules } from '../shared/cache/resource.ts'

/** Which resources this worker maps and invalidates for. Locks of its session, so they end with it. */
export interface Ownership {
  /** Takes every resource that nobody has; returns the ones that are new. */
  takeFree(): Promise<readonly ResourceRules[]>
  readonly isEmpty: boolean
}

/** Owners are told apart by Redis target: each Redis has its own sequence of windows. */
export function createOwnership(
  session: WorkerSession,
  catalog: readonly ResourceRules[],
  target: string,
): Ownership {
  const owned = new Set<ResourceRules>()
  const lockClass = hash32(target)

  return {
    async takeFree() {
      const taken: ResourceRules[] = []
      for (const resource of catalog) {
        if (owned.has(resource)) continue
        if (await session.tryLock(lockClass, hash32(resource.name))) taken.push(resource)
      }
      // Only now: what was taken before a failure has not been told to anybody, and is taken again.
      for (const resource of taken) owned.add(resource)
      return taken
    },
    get isEmpty() {
      return owned.size === 0
    },
  }
}

/** A signed 32-bit number, as advisory locks take them. */
const hash32 = (text: string) => createHash('sha256').update(text).digest().readInt32BE(0)

/** Names the Redis that a URL and a prefix lead to: the same for all who write there, and no secret. */
export function redisTarget(redisUrl: string, prefix: string): string {
  const { hostname, port, pathname } = new URL(redisUrl)
  return `${hostname}:${port || 6379}/${pathname.slice(1) || 0}#${prefix}`
}

import { createHash } from 'node:crypto'
import type { WorkerSession } from '../db/event-log/session.ts'
import type { ResourceRules } from '../shared/cache/resource.ts'
import { nameRedis } from '../shared/redis-address.ts'

/** Which resources this worker maps and invalidates for. Locks of its session, so they end with it. */
export interface Ownership {
  /** Takes what nobody has, up to a fair share; gives up what exceeds it. Call it between windows. */
  balance(): Promise<Balance>
  readonly isEmpty: boolean
}

/** What changed hands. */
export interface Balance {
  readonly taken: readonly ResourceRules[]
  readonly given: readonly ResourceRules[]
}

/** Owners are told apart by Redis target: each Redis has its own sequence of windows. */
export function createOwnership(
  session: WorkerSession,
  catalog: readonly ResourceRules[],
  target: string,
): Ownership {
  const owned = new Set<ResourceRules>()
  const ownerClass = hash32(target)
  const candidateClass = hash32(`candidates for ${target}`)
  const lockOf = new Map(catalog.map((resource) => [resource, hash32(resource.name)]))
  let isCandidate = false

  /** How many living workers could own each: they all hold a shared lock on it. */
  async function candidates(): Promise<(resource: ResourceRules) => number> {
    if (!isCandidate) {
      for (const lock of lockOf.values()) await session.tryShare(candidateClass, lock)
      isCandidate = true
    }
    const counts = await session.countHolders(candidateClass)
    return (resource) => counts.get(lockOf.get(resource) as number) ?? 1
  }

  return {
    async balance() {
      const rivals = await candidates()
      // What only this build knows is nobody else's to take.
      const shared = catalog.filter((resource) => rivals(resource) > 1)
      const share = Math.ceil(
        shared.reduce((sum, resource) => sum + 1 / rivals(resource), 0) - 1e-9,
      )
      const held = () => shared.filter((resource) => owned.has(resource))

      const given = held().slice(share)
      for (const resource of given) {
        await session.unlock(ownerClass, lockOf.get(resource) as number)
        owned.delete(resource)
      }

      const taken: ResourceRules[] = []
      let room = share - held().length
      for (const resource of catalog) {
        if (owned.has(resource) || given.includes(resource)) continue
        if (shared.includes(resource) && room <= 0) continue
        if (!(await session.tryLock(ownerClass, lockOf.get(resource) as number))) continue
        taken.push(resource)
        if (shared.includes(resource)) room--
      }
      // Only now: what was taken before a failure has not been told to anybody, and is taken again.
      for (const resource of taken) owned.add(resource)
      return { taken, given }
    },
    get isEmpty() {
      return owned.size === 0
    },
  }
}

/** A signed 32-bit number, as advisory locks take them. */
const hash32 = (text: string) => createHash('sha256').update(text).digest().readInt32BE(0)

/** Names the Redis that a URL and a prefix lead to: the same for all who write there, and no secret. */
export const redisTarget = (redisUrl: string, prefix: string): string =>
  `${nameRedis(redisUrl)}#${prefix}`

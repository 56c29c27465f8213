import { createHash } from 'node:crypto'
import type { WorkerSession } from '../db/event-log/index.ts'
import type { ResourceRules } from '../shared/cache/index.ts'

/** Resources that this worker invalidates. They are locks of its session, so they end with it. */
export interface Ownership {
  /**
   * Takes free resources up to a fair share, and releases those above it. Call it between windows.
   */
  balance(): Promise<Balance>
  readonly isEmpty: boolean
}

/** Resources that this worker has acquired and released. */
export interface Balance {
  readonly taken: readonly ResourceRules[]
  readonly given: readonly ResourceRules[]
}

/**
 * `target` is the identity of the Redis: each has its own sequence of windows and its own owners.
 *
 * The locks of this session as listed by Postgres are authoritative, not the replies to earlier
 * statements. A statement that failed may still have taken its lock, and a lock that is taken twice must
 * be released twice. So each round first reads the list, and never requests a lock that it already holds.
 */
export function createOwnership(
  session: WorkerSession,
  catalog: readonly ResourceRules[],
  target: string,
): Ownership {
  /** Resources that the caller knows of. After a failure the next round reports the difference. */
  let reported: ReadonlySet<ResourceRules> = new Set()
  const ownerClass = hash32(target)
  const candidateClass = hash32(`candidates for ${target}`)
  const lockOf = new Map(catalog.map((resource) => [resource, hash32(resource.name)]))

  return {
    async balance() {
      const locks = await session.readLocks([ownerClass, candidateClass])
      const find = (lockClass: number, resource: ResourceRules) =>
        locks.find((one) => one.lockClass === lockClass && one.object === lockOf.get(resource))
      const isHeld = (lockClass: number, resource: ResourceRules) =>
        find(lockClass, resource)?.isOwn === true

      // Every connected replica holds a shared lock on each resource that it could own.
      const candidates = new Map<ResourceRules, number>()
      for (const [resource, lock] of lockOf) {
        const holders = find(candidateClass, resource)?.holders ?? 0
        const isCandidate = isHeld(candidateClass, resource)
        if (!isCandidate) await session.tryShare(candidateClass, lock)
        candidates.set(resource, isCandidate ? holders : holders + 1)
      }
      // No other replica can take a resource that only this build knows.
      const shared = catalog.filter((resource) => (candidates.get(resource) ?? 1) > 1)
      const share = Math.ceil(
        shared.reduce((sum, resource) => sum + 1 / (candidates.get(resource) ?? 1), 0) - 1e-9,
      )

      const held = new Set(catalog.filter((resource) => isHeld(ownerClass, resource)))
      const excess = shared.filter((resource) => held.has(resource)).slice(share)
      for (const resource of excess) {
        await session.unlock(ownerClass, lockOf.get(resource) as number)
        held.delete(resource)
      }

      let room = share - shared.filter((resource) => held.has(resource)).length
      for (const resource of catalog) {
        if (held.has(resource) || excess.includes(resource)) continue
        // Another session held the lock a moment ago: not worth a statement each second.
        if (find(ownerClass, resource) !== undefined) continue
        if (shared.includes(resource) && room <= 0) continue
        if (!(await session.tryLock(ownerClass, lockOf.get(resource) as number))) continue
        held.add(resource)
        if (shared.includes(resource)) room--
      }

      const before = reported
      reported = held
      return {
        taken: catalog.filter((resource) => held.has(resource) && !before.has(resource)),
        given: catalog.filter((resource) => before.has(resource) && !held.has(resource)),
      }
    },
    get isEmpty() {
      return reported.size === 0
    },
  }
}

/** Returns a signed 32-bit number, as advisory locks require. */
const hash32 = (text: string) => createHash('sha256').update(text).digest().readInt32BE(0)

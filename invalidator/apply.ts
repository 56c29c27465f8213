import {
  type Advance,
  type AdvanceReport,
  DISABLED,
  type InvalidationStores,
  takesLong,
  type Watermark,
} from '../shared/cache/index.ts'
import type { BucketHealth } from './bucket-health.ts'
import type { Invalidations } from './map-window.ts'
import type { Pass, Passes } from './pass.ts'
import { waitPatiently } from './patience.ts'
import type { ResourceState, ResourceStates } from './resource-states.ts'

/** One update of one state. */
export interface StateAdvance {
  readonly state: ResourceState
  readonly advance: Advance
}

/** The advances that were applied in one bucket. */
export interface AppliedBucket {
  readonly bucket: number
  readonly advances: readonly StateAdvance[]
  readonly report: AdvanceReport
}

/** Advances of a window: those that were applied, and the passes that apply the others. */
export interface Applied {
  readonly buckets: readonly AppliedBucket[]
  readonly passes: readonly Pass[]
}

export interface ApplierDeps {
  readonly stores: InvalidationStores
  readonly health: BucketHealth
  readonly passes: Passes
  readonly states: Pick<ResourceStates, 'active' | 'setPass' | 'setProgress' | 'discardWatermark'>
  /** Called between steps of work to ping the session, if that is due. */
  readonly pause: () => Promise<void>
}

export interface ApplyOptions {
  /** Clock's time of each bucket, read before the snapshot was taken. */
  readonly asOfMs: readonly number[]
  /** Whether the watermarks of all buckets are stored, also of those without changes. */
  readonly everywhere: boolean
  /** End of the window's transaction. */
  readonly ended: Promise<unknown>
}

type Apply = (invalidations: Invalidations, options: ApplyOptions) => Promise<Applied>

/**
 * Returns a function that deletes entries and advances the watermarks of the active resources. An advance
 * that takes many scripts begins a pass, after the others were applied and the transaction has ended.
 *
 * Where a window changes nothing, its snapshot need not be stored at once: what is stored stays true, and
 * the owner knows that it has applied more.
 */
export function createApplier({ stores, health, passes, states, pause }: ApplierDeps): Apply {
  function beginPass({ state, advance }: StateAdvance, found: Invalidations): Pass {
    // Once damaged, the window may lack changes that were not logged: the resource stays disabled.
    let wasDamaged = false
    const isDisabled = () => (wasDamaged ||= state.triggerHealth?.keyVersion === DISABLED)
    const { bucket } = state
    const pass = passes.begin(bucket, { ...advance, isDisabled }, found.flush.get(state))
    states.setPass(state, pass)
    return pass
  }

  /** Applies the advances of each bucket. A bucket of a cluster fails alone. */
  async function applyShort(
    byBucket: ReadonlyMap<number, readonly StateAdvance[]>,
  ): Promise<Applied> {
    const applied: AppliedBucket[] = []
    const open = new Map<number, Promise<AdvanceReport>>()
    for (const [bucket, advances] of byBucket) {
      const applying = apply(bucket, advances)
      if (stores.count === 1) {
        applied.push({ bucket, advances, report: await applying })
        continue
      }
      open.set(bucket, applying)
      applying.then(
        (report) => {
          if (open.delete(bucket)) applied.push({ bucket, advances, report })
        },
        (error: unknown) => {
          health.fail(bucket, error)
          if (!open.delete(bucket)) return
          // The outcome is unknown until the stored watermark is read.
          for (const { state } of advances) states.discardWatermark(state)
        },
      )
    }
    await waitPatiently([...open.values()])
    const begun: Pass[] = []
    // A bucket that takes longer continues as a pass.
    for (const [bucket, applying] of open) {
      open.delete(bucket)
      for (const { state, advance } of byBucket.get(bucket) ?? []) {
        const pass = passes.adopt(advance, applying)
        states.setPass(state, pass)
        begun.push(pass)
      }
    }
    return { buckets: applied, passes: begun }
  }

  async function apply(bucket: number, advances: readonly StateAdvance[]): Promise<AdvanceReport> {
    return stores.at(bucket).apply(
      advances.map(({ advance }) => advance),
      pause,
    )
  }

  return async (found, { asOfMs, everywhere, ended }) => {
    const keys = divide(found.keys, stores)
    const nextOf = createNext(found, asOfMs)
    const progressOf = createProgress(found)
    const short = new Map<number, StateAdvance[]>()
    const long: StateAdvance[] = []
    const skipped: ResourceState[] = []
    for (const state of states.active()) {
      const { resource, bucket } = state
      const stale = keys[bucket]?.get(resource.name)
      const flush = found.flush.size > 0 && found.flush.has(state)
      if (!everywhere && stale === undefined && !flush && isAsStored(state)) {
        skipped.push(state)
        continue
      }
      const advance = {
        resource,
        expected: state.stored ?? null,
        keys: stale ?? NO_KEYS,
        flush,
        next: nextOf(state),
      }
      if (takesLong(advance)) long.push({ state, advance })
      else {
        const ofBucket = short.get(bucket)
        if (ofBucket === undefined) short.set(bucket, [{ state, advance }])
        else ofBucket.push({ state, advance })
      }
    }
    const [applied] = await Promise.all([applyShort(short), ended])
    for (const state of skipped) states.setProgress(state, progressOf(state))
    const begun = long.map((one) => beginPass(one, found))
    return { buckets: applied.buckets, passes: [...applied.passes, ...begun] }
  }
}

const NO_KEYS: ReadonlySet<string> = new Set()

/** Whether only the snapshot of the stored watermark and its time are old. */
const isAsStored = ({ mark, triggerHealth }: ResourceState): boolean =>
  mark !== null &&
  mark.part === 0 &&
  mark.keyVersion === triggerHealth?.keyVersion &&
  mark.fingerprint === triggerHealth.fingerprint

/** Returns a function that returns the next watermark of a state. */
function createNext(
  { readSnapshot }: Invalidations,
  asOfMs: readonly number[],
): (state: ResourceState) => Watermark {
  const {
    database: { incarnation, origin },
    snapshot,
  } = readSnapshot
  return ({ bucket, triggerHealth }) => ({
    incarnation,
    origin,
    snapshot,
    asOfMs: asOfMs[bucket] ?? 0,
    part: 0,
    keyVersion: triggerHealth?.keyVersion ?? DISABLED,
    fingerprint: triggerHealth?.fingerprint ?? '',
  })
}

/** Returns a function that returns what was applied to a state without being stored: the same in all buckets. */
function createProgress({ readSnapshot }: Invalidations): (state: ResourceState) => Watermark {
  const { incarnation, origin } = readSnapshot.database
  const { snapshot } = readSnapshot
  // The states of a resource follow one another, so the last one suffices.
  let last: ResourceState['resource'] | undefined
  let progress: Watermark | undefined
  return ({ resource, mark, triggerHealth }) => {
    if (progress === undefined || resource !== last) {
      last = resource
      progress = {
        incarnation,
        origin,
        snapshot,
        // Only the stored watermark measures freshness.
        asOfMs: mark?.asOfMs ?? 0,
        part: 0,
        keyVersion: triggerHealth?.keyVersion ?? DISABLED,
        fingerprint: triggerHealth?.fingerprint ?? '',
      }
    }
    return progress
  }
}

/** Divides keys among the buckets. Returns those of each bucket by resource name. */
function divide(
  keys: Invalidations['keys'],
  { count, bucketOf, keyIn }: InvalidationStores,
): readonly (ReadonlyMap<string, ReadonlySet<string>> | undefined)[] {
  if (count === 1) return [keys]
  const divided: Map<string, Set<string>>[] = []
  for (const [name, found] of keys) {
    for (const key of found) {
      const bucket = bucketOf(key)
      const ofBucket = (divided[bucket] ??= new Map<string, Set<string>>())
      const ofResource = ofBucket.get(name)
      if (ofResource === undefined) ofBucket.set(name, new Set([keyIn(bucket, key)]))
      else ofResource.add(keyIn(bucket, key))
    }
  }
  return divided
}

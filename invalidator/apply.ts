import {
  type Advance,
  type AdvanceReport,
  DISABLED,
  type InvalidationStore,
  takesLong,
} from '../shared/cache/index.ts'
import type { Invalidations } from './map-window.ts'
import type { Pass, Passes } from './pass.ts'
import type { ResourceState, ResourceStates } from './resource-states.ts'

/** Advances of a window: those that were applied, and the passes that apply the others. */
export interface Applied {
  readonly advances: readonly Advance[]
  readonly report: AdvanceReport
  readonly passes: readonly Pass[]
}

export interface ApplierDeps {
  readonly invalidationStore: Pick<InvalidationStore, 'apply'>
  readonly passes: Passes
  readonly states: Pick<ResourceStates, 'active' | 'setPass'>
  /** Called between steps of work to ping the session, if that is due. */
  readonly pause: () => Promise<void>
}

type Apply = (
  invalidations: Invalidations,
  asOfMs: number,
  ended: Promise<unknown>,
) => Promise<Applied>

const NOTHING_DONE: AdvanceReport = { stored: new Map(), removed: new Map(), timeMs: null }

/**
 * Returns a function that deletes entries and advances the watermarks of the active resources. An advance
 * that takes many scripts begins a pass, after the others were applied and the transaction has ended.
 */
export function createApplier({ invalidationStore, passes, states, pause }: ApplierDeps): Apply {
  function beginPass(state: ResourceState, advance: Advance, found: Invalidations): Pass {
    const { name } = state.resource
    // Once damaged, the window may lack changes that were not logged: the resource stays disabled.
    let wasDamaged = false
    const isDisabled = () => (wasDamaged ||= state.triggerHealth?.keyVersion === DISABLED)
    const pass = passes.begin({ ...advance, isDisabled }, found.flush.get(name))
    states.setPass(name, pass)
    return pass
  }

  return async (found, asOfMs, ended) => {
    const all = states.active().map((state) => [state, advanceOf(state, found, asOfMs)] as const)
    const advances = all.flatMap(([, advance]) => (takesLong(advance) ? [] : [advance]))
    const applying = advances.length > 0 ? invalidationStore.apply(advances, pause) : NOTHING_DONE
    const [report] = await Promise.all([applying, ended])
    const begun = all.flatMap(([state, advance]) =>
      takesLong(advance) ? [beginPass(state, advance, found)] : [],
    )
    return { advances, report, passes: begun }
  }
}

/** Returns the update of one resource in Redis. */
function advanceOf(
  { resource, stored, triggerHealth }: ResourceState,
  { readSnapshot, keys, flush }: Invalidations,
  asOfMs: number,
): Advance {
  return {
    resource,
    expected: stored ?? null,
    keys: keys.get(resource.name) ?? new Set(),
    flush: flush.has(resource.name),
    next: {
      ...readSnapshot.database,
      snapshot: readSnapshot.snapshot,
      asOfMs,
      part: 0,
      keyVersion: triggerHealth?.keyVersion ?? DISABLED,
      fingerprint: triggerHealth?.fingerprint ?? '',
    },
  }
}

import { type Cursor, includes } from '../db/event-log/index.ts'
import { decodeWatermark, type ResourceRules, type Watermark } from '../shared/cache/index.ts'
import type { ForeignReason } from './foreign-watermarks.ts'
import type { InvalidatorMetrics } from './metrics.ts'
import type { Pass } from './pass.ts'
import type { TriggerHealth } from './trigger-health.ts'

/**
 * A resource that a worker owns, in one bucket of Redis, and its progress there. Only `ResourceStates`
 * changes it.
 */
export interface ResourceState {
  /** Identifies it among the states of one Redis. */
  readonly id: string
  readonly resource: ResourceRules
  readonly bucket: number
  /** Stored watermark, byte for byte; `undefined` if it must be read first. */
  readonly stored: string | null | undefined
  /**
   * The applied state. Its snapshot may include more than the stored one: windows without entries of
   * this bucket change nothing there.
   */
  readonly mark: Watermark | null
  /** Reason why its watermark must not be replaced. */
  readonly foreignReason: ForeignReason | null
  /** The same in all buckets. */
  readonly triggerHealth: TriggerHealth | null
  /**
   * Update of its entries that takes many scripts. Until it ends no window is read for the resource.
   */
  readonly pass: Pass | null
}

/** The states of the resources that a worker owns, and their metrics. */
export interface ResourceStates {
  readonly isEmpty: boolean
  all(): readonly ResourceState[]
  /** Returns the states that take part in windows. */
  active(): readonly ResourceState[]
  /** Adds resources. Their watermarks must be read first. */
  acquire(resources: readonly ResourceRules[]): void
  /** Removes resources, and aborts their passes. */
  release(resources: readonly ResourceRules[]): void
  /** Sets the watermark that was read. */
  setWatermark(state: ResourceState, stored: string | null): void
  /** Sets the watermark that this process wrote. */
  setWritten(state: ResourceState, text: string, mark: Watermark): void
  /** Sets what has been applied without storing it. */
  setProgress(state: ResourceState, mark: Watermark): void
  /** Whether this process wrote the stored watermark, and no other has written since. */
  isWritten(state: ResourceState): boolean
  /** Requires that the watermark is read again. */
  discardWatermark(state: ResourceState): void
  setForeignReason(state: ResourceState, reason: ForeignReason | null): void
  setTriggerHealth(resource: ResourceRules, health: TriggerHealth): void
  setPass(state: ResourceState, pass: Pass | null): void
  readonly cursors: readonly Cursor[]
}

export interface ResourceStatesDeps {
  readonly metrics: Pick<InvalidatorMetrics, 'damagedTables' | 'foreignWatermarks'>
  /** Number of buckets of the Redis. */
  readonly buckets: number
  /** Texts of the watermarks that this process wrote last, by the id of the state. */
  readonly written: Map<string, string>
}

type MutableState = { -readonly [Field in keyof ResourceState]: ResourceState[Field] }

/** Whether a state takes part in windows. */
const isActive = ({ stored, foreignReason, pass }: ResourceState) =>
  stored !== undefined && foreignReason === null && pass === null

export function createResourceStates({
  metrics,
  buckets,
  written,
}: ResourceStatesDeps): ResourceStates {
  /** States of a resource, by bucket. */
  const byResource = new Map<string, readonly MutableState[]>()
  let all: readonly MutableState[] = []
  /** Computed once for each change: with many buckets this is most of the work of a small window. */
  let active: readonly MutableState[] | null = null
  // The new session does not know yet which watermarks are foreign or which tables are damaged.
  metrics.foreignWatermarks.reset()
  metrics.damagedTables.reset()

  /** Changes a state, which may become or no longer be active. */
  function change(state: ResourceState, changes: Partial<MutableState>): void {
    active = null
    Object.assign(state, changes)
  }

  function setWatermark(state: ResourceState, stored: string | null): void {
    change(state, { stored, mark: decodeWatermark(stored) })
  }

  function setForeignReason(state: ResourceState, foreignReason: ForeignReason | null): void {
    if (state.foreignReason === foreignReason) return
    change(state, { foreignReason })
    const { name } = state.resource
    const isForeign = byResource.get(name)?.some((one) => one.foreignReason !== null) ?? false
    metrics.foreignWatermarks.labels(name).set(isForeign ? 1 : 0)
  }

  function reportDamage(
    resource: string,
    now: TriggerHealth | null,
    before: TriggerHealth | null,
  ): void {
    for (const { table, cause } of before?.damaged ?? []) {
      metrics.damagedTables.remove({ resource, table, cause })
    }
    metrics.damagedTables.remove({ resource, table: '', cause: '' })
    if (now?.damaged.length === 0) metrics.damagedTables.labels(resource, '', '').set(0)
    for (const { table, cause } of now?.damaged ?? []) {
      metrics.damagedTables.labels(resource, table, cause).set(1)
    }
  }

  return {
    get isEmpty() {
      return all.length === 0
    },
    all: () => all,
    active: () => (active ??= all.filter(isActive)),
    acquire(resources) {
      for (const resource of resources) {
        const states = Array.from({ length: buckets }, (_, bucket) => ({
          id: `${resource.name} ${bucket}`,
          resource,
          bucket,
          stored: undefined,
          mark: null,
          foreignReason: null,
          triggerHealth: null,
          pass: null,
        }))
        byResource.set(resource.name, states)
        metrics.foreignWatermarks.labels(resource.name).set(0)
      }
      all = [...byResource.values()].flat()
      active = null
    },
    release(resources) {
      for (const { name } of resources) {
        const states = byResource.get(name) ?? []
        for (const state of states) state.pass?.abort()
        metrics.foreignWatermarks.labels(name).set(0)
        reportDamage(name, null, states[0]?.triggerHealth ?? null)
        byResource.delete(name)
      }
      all = [...byResource.values()].flat()
      active = null
    },
    setWatermark,
    setWritten(state: MutableState, text, mark) {
      if (state.stored === undefined) active = null
      state.stored = text
      state.mark = mark
      written.set(state.id, text)
    },
    setProgress(state: MutableState, mark) {
      state.mark = mark
    },
    isWritten: ({ id, stored }) => stored !== undefined && written.get(id) === stored,
    discardWatermark: (state) => change(state, { stored: undefined }),
    setForeignReason,
    setTriggerHealth({ name }, triggerHealth) {
      const states = byResource.get(name) ?? []
      const before = states[0]?.triggerHealth ?? null
      if (before === null || causesOf(triggerHealth).join() !== causesOf(before).join()) {
        reportDamage(name, triggerHealth, before)
      }
      for (const state of states) Object.assign(state, { triggerHealth })
    },
    setPass: (state, pass) => change(state, { pass }),
    get cursors() {
      return [...byResource.values()].flatMap((states) => lowestCursor(states) ?? [])
    },
  }
}

/** Returns the cursor of the bucket that is furthest behind, as stored. */
function lowestCursor(states: readonly ResourceState[]): Cursor | null {
  const marks = states.flatMap(({ mark, stored, foreignReason }) =>
    foreignReason === null ? ((stored === undefined ? mark : decodeWatermark(stored)) ?? []) : [],
  )
  const [first, ...others] = marks
  if (first === undefined) return null
  const lowest = others.reduce(
    (least, one) => (includes(least.snapshot, one.snapshot) ? one : least),
    first,
  )
  return { resource: states[0]?.resource.name ?? '', snapshot: lowest.snapshot.text }
}

/** Returns what keeps changes of a resource's tables out of the log. */
export const causesOf = (health: TriggerHealth | null): readonly string[] =>
  health?.damaged.map(({ text }) => text) ?? []

/** States with equal watermarks, whose resources share a window. After one round there is one group. */
export interface WatermarkGroup {
  readonly mark: Watermark | null
  readonly resources: readonly ResourceRules[]
  readonly states: readonly ResourceState[]
}

/**
 * Groups states by watermark. Usually there is one group, and with many buckets many states: then nothing is
 * copied.
 */
export function groupByWatermark(states: readonly ResourceState[]): readonly WatermarkGroup[] {
  const [first] = states
  if (first === undefined) return []
  const { mark } = first
  if (states.every((state) => state.mark?.snapshot === mark?.snapshot)) {
    return [{ mark, resources: resourcesOf(states), states }]
  }
  const groups = new Map<string, { mark: Watermark | null; states: ResourceState[] }>()
  for (const state of states) {
    const id = state.mark ? `${state.mark.incarnation} ${state.mark.snapshot.text}` : ''
    const group = groups.get(id) ?? { mark: state.mark, states: [] }
    groups.set(id, group)
    group.states.push(state)
  }
  return [...groups.values()].map((group) => ({ ...group, resources: resourcesOf(group.states) }))
}

/** Returns the resources of states, each once. The result for the same array is remembered. */
function resourcesOf(states: readonly ResourceState[]): readonly ResourceRules[] {
  let resources = knownResources.get(states)
  if (resources === undefined) {
    resources = [...new Set(states.map(({ resource }) => resource))]
    knownResources.set(states, resources)
  }
  return resources
}
const knownResources = new WeakMap<readonly ResourceState[], readonly ResourceRules[]>()

/** Returns the watermarks at which the windows of these states begin, each once. */
export const marksOf = (states: readonly ResourceState[]): readonly Watermark[] =>
  groupByWatermark(states).flatMap(({ mark }) => mark ?? [])

import type { Cursor } from '../db/event-log/index.ts'
import { decodeWatermark, type ResourceRules, type Watermark } from '../shared/cache/index.ts'
import type { ForeignReason } from './foreign-watermarks.ts'
import type { InvalidatorMetrics } from './metrics.ts'
import type { Pass } from './pass.ts'
import type { TriggerHealth } from './trigger-health.ts'

/** A resource that a worker owns, and its progress. Only `ResourceStates` changes it. */
export interface ResourceState {
  readonly resource: ResourceRules
  /** Stored watermark, byte for byte; `undefined` if it must be read first. */
  readonly stored: string | null | undefined
  readonly mark: Watermark | null
  /** Reason why its watermark must not be replaced. */
  readonly foreignReason: ForeignReason | null
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
  /** Returns the resources that take part in windows. */
  active(): readonly ResourceState[]
  /** Adds resources. Their watermarks must be read first. */
  acquire(resources: readonly ResourceRules[]): void
  /** Removes resources, and aborts their passes. */
  release(resources: readonly ResourceRules[]): void
  /** Sets the watermark that was read. */
  setWatermark(resource: string, stored: string | null): void
  /** Sets the watermark that this process wrote. */
  setWritten(resource: string, text: string): void
  /** Whether this process wrote the stored watermark, and no other has written since. */
  isWritten(state: ResourceState): boolean
  /** Requires that the watermark is read again. */
  discardWatermark(resource: string): void
  setForeignReason(resource: string, reason: ForeignReason | null): void
  setTriggerHealth(resource: string, health: TriggerHealth): void
  setPass(resource: string, pass: Pass | null): void
  /** Whether a watermark of an active resource must be read again. */
  readonly mustRepeat: boolean
  readonly cursors: readonly Cursor[]
}

export interface ResourceStatesDeps {
  readonly metrics: Pick<InvalidatorMetrics, 'damagedTables' | 'foreignWatermarks'>
  /** Texts of the watermarks that this process wrote last, by resource. */
  readonly written: Map<string, string>
}

type MutableState = { -readonly [Field in keyof ResourceState]: ResourceState[Field] }

export function createResourceStates({ metrics, written }: ResourceStatesDeps): ResourceStates {
  const states = new Map<string, MutableState>()
  // The new session does not know yet which watermarks are foreign or which tables are damaged.
  metrics.foreignWatermarks.reset()
  metrics.damagedTables.reset()

  const find = (resource: string) => states.get(resource) as MutableState
  const active = () =>
    [...states.values()].filter(
      ({ foreignReason, pass }) => foreignReason === null && pass === null,
    )

  function setWatermark(resource: string, stored: string | null): void {
    const state = find(resource)
    state.stored = stored
    state.mark = decodeWatermark(stored)
  }

  function setForeignReason(resource: string, reason: ForeignReason | null): void {
    const state = find(resource)
    if ((state.foreignReason === null) !== (reason === null)) {
      metrics.foreignWatermarks.labels(resource).set(reason === null ? 0 : 1)
    }
    state.foreignReason = reason
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
      return states.size === 0
    },
    all: () => [...states.values()],
    active,
    acquire(resources) {
      for (const resource of resources) {
        states.set(resource.name, {
          resource,
          stored: undefined,
          mark: null,
          foreignReason: null,
          triggerHealth: null,
          pass: null,
        })
        metrics.foreignWatermarks.labels(resource.name).set(0)
      }
    },
    release(resources) {
      for (const { name } of resources) {
        const state = states.get(name)
        state?.pass?.abort()
        if (state) setForeignReason(name, null)
        reportDamage(name, null, state?.triggerHealth ?? null)
        states.delete(name)
      }
    },
    setWatermark,
    setWritten(resource, text) {
      setWatermark(resource, text)
      written.set(resource, text)
    },
    isWritten: ({ resource, stored }) =>
      stored !== undefined && written.get(resource.name) === stored,
    discardWatermark(resource) {
      find(resource).stored = undefined
    },
    setForeignReason,
    setTriggerHealth(resource, health) {
      const state = find(resource)
      const before = state.triggerHealth
      if (before === null || causesOf(health).join() !== causesOf(before).join()) {
        reportDamage(resource, health, before)
      }
      state.triggerHealth = health
    },
    setPass(resource, pass) {
      find(resource).pass = pass
    },
    get mustRepeat() {
      return active().some(({ stored }) => stored === undefined)
    },
    get cursors() {
      return [...states.values()].flatMap(({ resource, mark, foreignReason }) =>
        mark && foreignReason === null
          ? [{ resource: resource.name, snapshot: mark.snapshot.text }]
          : [],
      )
    },
  }
}

/** Returns what keeps changes of a resource's tables out of the log. */
export const causesOf = (health: TriggerHealth | null): readonly string[] =>
  health?.damaged.map(({ text }) => text) ?? []

/** Groups resources by watermark. Each group shares a window; after one round there is one group. */
export function groupByWatermark(
  states: readonly ResourceState[],
): [Watermark | null, ResourceRules[]][] {
  const groups = new Map<string, [Watermark | null, ResourceRules[]]>()
  for (const { mark, resource } of states) {
    const id = mark ? `${mark.incarnation} ${mark.snapshot.text}` : ''
    const group = groups.get(id) ?? [mark, []]
    groups.set(id, group)
    group[1].push(resource)
  }
  return [...groups.values()]
}

/** Returns the watermarks at which the windows of these resources begin, each once. */
export const marksOf = (states: readonly ResourceState[]): readonly Watermark[] =>
  groupByWatermark(states).flatMap(([mark]) => mark ?? [])

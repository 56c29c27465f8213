import { useEffect, useRef, useState } from 'preact/hooks'
import { matches } from '../change-filter.ts'
import { joinChanges } from './join-changes.ts'
import type { Change } from './types.ts'

/** Conditions that changes must meet; empty ones count as absent. */
export interface Filter {
  readonly table: string
  readonly resource: string
  readonly key: string
}

export interface ChangesState {
  /** The newest first. */
  readonly changes: readonly Change[]
  /** Changes that were not shown, because there were too many. */
  readonly skipped: number
  readonly isConnected: boolean
  /** Changes that arrived while the view was paused. */
  readonly waiting: number
}

const SHOWN = 200

/** Receives changes while the view is open, and draws them as often as they are delivered. */
export function useChanges(filter: Filter, isPaused: boolean): ChangesState {
  const [state, setState] = useState<ChangesState>({
    changes: [],
    skipped: 0,
    isConnected: false,
    waiting: 0,
  })
  const paused = useRef(isPaused)
  const { table, resource, key } = filter

  useEffect(() => {
    const wanted = { table: table || null, resource: resource || null, key: key || null }
    const found = new Map<string, Change>()
    let skipped = 0
    let arrived = 0

    const add = (change: Change) => {
      const known = found.get(change.id)
      if (known === undefined) arrived++
      found.set(change.id, known === undefined ? change : merge(known, change))
    }
    return joinChanges((delivery) => {
      const { isConnected } = delivery
      skipped += delivery.skipped
      for (const change of delivery.changes) if (matches(change, wanted)) add(change)
      for (const id of [...found.keys()].slice(0, Math.max(0, found.size - SHOWN))) found.delete(id)
      if (paused.current) {
        const waiting = arrived
        setState((before) => ({ ...before, isConnected, waiting }))
        return
      }
      arrived = 0
      setState({ changes: [...found.values()].toReversed(), skipped, isConnected, waiting: 0 })
    })
  }, [table, resource, key])
  useEffect(() => {
    paused.current = isPaused
  }, [isPaused])
  return state
}

/** Each invalidator reports the entries of its own resources. */
function merge(known: Change, other: Change): Change {
  const keys = new Set(known.entries.map(({ key }) => key))
  const names = new Set(known.flushed.map(({ resource }) => resource))
  const entries = other.entries.filter(({ key }) => !keys.has(key))
  return {
    ...known,
    entries: [...known.entries, ...entries],
    more: Math.max(known.more, other.more),
    together: known.together || other.together,
    flushed: [...known.flushed, ...other.flushed.filter(({ resource }) => !names.has(resource))],
    delayMs:
      known.delayMs === null || other.delayMs === null
        ? null
        : Math.max(known.delayMs, other.delayMs),
  }
}

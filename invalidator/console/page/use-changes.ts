import { useEffect, useRef, useState } from 'preact/hooks'
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
/** Shortest time between two drawings, at any rate of changes. */
const DRAW_EVERY_MS = 250
const RETRY_MS = 1_000

/** Receives the changes of `/events` while the view is open. */
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
    const found = new Map<string, Change>()
    let skipped = 0
    let isConnected = false
    let arrived = 0
    let isDue = false

    const draw = () => {
      isDue = false
      const waiting = arrived
      if (paused.current) {
        setState((before) => ({ ...before, isConnected, waiting }))
        return
      }
      arrived = 0
      setState({ changes: [...found.values()].toReversed(), skipped, isConnected, waiting: 0 })
    }
    const timer = window.setInterval(() => {
      if (isDue) draw()
    }, DRAW_EVERY_MS)
    const query = new URLSearchParams({ history: String(SHOWN) })
    for (const [name, value] of Object.entries({ table, resource, key })) {
      if (value !== '') query.set(name, value)
    }
    let source: EventSource
    let retry: number | undefined
    const connect = () => {
      source = new EventSource(`events?${query.toString()}`)
      source.addEventListener('change', onChange)
      source.addEventListener('skipped', onSkipped)
      source.addEventListener('ready', () => setConnected(true))
      source.addEventListener('error', () => {
        setConnected(false)
        // A browser does not retry after an answer such as 503, with which an invalidator begins.
        if (source.readyState === EventSource.CLOSED) {
          retry = window.setTimeout(connect, RETRY_MS)
        }
      })
    }
    const setConnected = (connected: boolean) => {
      isConnected = connected
      isDue = true
    }
    const onChange = (message: MessageEvent<string>) => {
      const change = JSON.parse(message.data) as Change
      const known = found.get(change.id)
      if (known === undefined) arrived++
      found.set(change.id, known === undefined ? change : merge(known, change))
      if (found.size > 2 * SHOWN) {
        for (const id of [...found.keys()].slice(0, found.size - SHOWN)) found.delete(id)
      }
      isDue = true
    }
    const onSkipped = (message: MessageEvent<string>) => {
      skipped += (JSON.parse(message.data) as { readonly count: number }).count
      isDue = true
    }
    connect()
    return () => {
      window.clearInterval(timer)
      window.clearTimeout(retry)
      source.close()
    }
  }, [table, resource, key])
  useEffect(() => {
    paused.current = isPaused
  }, [isPaused])
  return { ...state, changes: state.changes.slice(0, SHOWN) }
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

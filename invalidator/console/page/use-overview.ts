import { useEffect, useState } from 'preact/hooks'
import type { Overview, ShownPoint } from './types.ts'
import { readOverview, Refused } from './api.ts'

/** The last overview, or why there is none. */
export interface OverviewState {
  readonly overview: Overview | null
  readonly points: readonly ShownPoint[]
  /** Reason why the last request failed; null if it succeeded. */
  readonly failure: string | null
}

const EVERY_MS = 2_000
const KEPT_MS = 15 * 60_000

/** Reads the overview every 2 s while the page is visible. */
export function useOverview(): OverviewState {
  const [state, setState] = useState<OverviewState>({ overview: null, points: [], failure: null })
  useEffect(() => {
    let timer: number | undefined
    let isOver = false
    let points: readonly ShownPoint[] = []
    const read = async () => {
      try {
        const overview = await readOverview(points.at(-1)?.atMs ?? 0)
        const oldestMs = Date.now() - KEPT_MS
        points = [...points, ...overview.points].filter(({ atMs }) => atMs > oldestMs)
        if (!isOver) setState({ overview, points, failure: null })
      } catch (error) {
        const failure = error instanceof Refused ? error.message : 'it does not answer'
        if (!isOver) setState((before) => ({ ...before, failure }))
      }
    }
    const loop = async () => {
      if (document.visibilityState === 'visible') await read()
      if (!isOver) timer = window.setTimeout(() => void loop(), EVERY_MS)
    }
    const onVisible = () => {
      if (document.visibilityState === 'visible') void read()
    }
    document.addEventListener('visibilitychange', onVisible)
    void loop()
    return () => {
      isOver = true
      window.clearTimeout(timer)
      document.removeEventListener('visibilitychange', onVisible)
    }
  }, [])
  return state
}

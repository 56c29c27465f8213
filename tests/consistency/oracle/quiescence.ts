import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { cover, type Observer } from '../observer.ts'
import type { Client as Reader } from '../readers/client.ts'
import { ENTRIES, RESOURCES } from '../world/entries.ts'
import type { Violation } from './verdict.ts'
import { readSnapshot, type Seen } from './snapshot.ts'

const RECOVERY_MS = 60_000

/** Waits until all commits have been applied. Returns a violation if that takes too long. */
export async function quiesce(
  writersUrl: string,
  observer: Observer,
): Promise<readonly Violation[]> {
  const giveUpAtMs = performance.now() + RECOVERY_MS
  let now: { incarnation: string; seen: Seen } | null = null
  let marks: Awaited<ReturnType<Observer['look']>> = new Map()
  while (performance.now() < giveUpAtMs) {
    // Reads again while the database has no incarnation yet.
    now = (await present(writersUrl).catch(() => null)) ?? now
    marks = await observer.look().catch(() => new Map())
    if (now && cover(marks, RESOURCES, now)) return []
    await sleep(20)
  }
  return [
    {
      guarantee: 'G4',
      what: `commits were not applied within ${RECOVERY_MS / 1000} s`,
      timeline: [
        `Postgres is in incarnation ${now?.incarnation} at ${now?.seen.text}`,
        ...[...marks].map(
          ([name, mark]) => `${name}: ${mark?.incarnation} ${mark?.seen.text} ${mark?.keyVersion}`,
        ),
      ],
    },
  ]
}

async function present(url: string): Promise<{ incarnation: string; seen: Seen } | null> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 2_000 })
  client.on('error', () => {})
  try {
    await client.connect()
    const { rows } = await client.query<{ incarnation: string | null; text: string }>(
      'select (select id from invalidation.current_incarnation) as incarnation, pg_current_snapshot()::text as text',
    )
    const seen = readSnapshot(rows[0]?.text ?? '')
    const incarnation = rows[0]?.incarnation
    return incarnation && seen ? { incarnation, seen } : null
  } finally {
    await client.end()
  }
}

export interface Comparison {
  readonly violations: readonly Violation[]
  readonly entries: number
}

/** Compares answers from the cache with those from Postgres, byte for byte and twice. No writer may run. */
export async function compare(cached: Reader, fresh: Reader): Promise<Comparison> {
  const violations: Violation[] = []
  let entries = 0
  for (const entry of ENTRIES) {
    const truth = await fresh.get(entry)
    if (!('read' in truth)) {
      violations.push({
        guarantee: 'G4',
        what: `${entry.path} without a cache: ${truth.failure}`,
        timeline: [],
      })
      continue
    }
    for (let api = 0; api < cached.apis; api++) {
      for (let time = 0; time < 2; time++) {
        const answer = await cached.get(entry, { api })
        entries++
        const [status, text, how] =
          'read' in answer
            ? [answer.status, answer.text, answer.read.cacheStatus]
            : [0, answer.failure, 'no answer']
        if (status === truth.status && text === truth.text) continue
        violations.push({
          guarantee: 'G4',
          what: `${entry.path} from API ${api} differs from Postgres after all changes were applied`,
          timeline: [`${how}: ${text}`, `Postgres: ${truth.text}`],
        })
      }
    }
  }
  return { violations, entries }
}

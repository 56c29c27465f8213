import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'
import { until } from '../../support/until.ts'
import type { Violation } from '../oracle/verdict.ts'
import { connect } from '../stage/on-postgres.ts'
import type { Scene } from './fault.ts'

const PROBES = 30
const EVERY_MS = 100
/** A disturbance precedes every n-th probe. */
const DISTURBED_EVERY = 6
/** Allowed in addition to twice the slowest undisturbed probe, in ms. */
const MOST_MS = 1_000
/** Changes a table that the system watches and the checker does not. */
const PROBE = `
  with changed as (update projects_externalprojectdetails set aims = $1 where id = 1 returning id)
  select pg_current_xact_id()::text as xid, (select id from invalidation.current_incarnation) as incarnation from changed`
const RESOURCE = 'project:detail'

/** Measures how long a change of one resource takes to be applied while another resource is flushed. */
export async function measureLag(
  { stage, observer }: Pick<Scene, 'stage' | 'observer'>,
  disturb: (client: Client) => Promise<unknown>,
): Promise<readonly Violation[]> {
  const client = await connect(stage.writersUrl)
  const probe = async () => {
    const { rows } = await client.query<{ xid: string; incarnation: string }>(PROBE, [
      String(Math.random()),
    ])
    const [row] = rows
    if (!row) throw new Error('the probe changed no row of projects_externalprojectdetails')
    const startMs = performance.now()
    await until(() =>
      observer.hadSeen(RESOURCE, row.incarnation, BigInt(row.xid), performance.now()),
    )
    return performance.now() - startMs
  }
  const series = async (disturbance?: (client: Client) => Promise<unknown>) => {
    let worstMs = 0
    for (let n = 0; n < PROBES; n++) {
      if (disturbance && n % DISTURBED_EVERY === 0) await disturbance(client)
      worstMs = Math.max(worstMs, await probe())
      await sleep(EVERY_MS)
    }
    return worstMs
  }
  try {
    await client.query(
      `insert into projects_externalprojectdetails (id, project_id, aims) values (1, 1, '')
       on conflict do nothing`,
    )
    const undisturbedMs = await series()
    const disturbedMs = await series(disturb)
    if (disturbedMs <= 2 * undisturbedMs + MOST_MS) return []
    return [
      {
        guarantee: 'G4',
        what: `a change took ${disturbedMs.toFixed()} ms to be applied while another resource was flushed`,
        timeline: [`undisturbed ${undisturbedMs.toFixed()} ms`],
      },
    ]
  } finally {
    await client.end()
  }
}

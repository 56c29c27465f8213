import { Client } from 'pg'
import type { Violation } from '../oracle/verdict.ts'
import { watchLockWaits } from '../oracle/writers.ts'
import type { Random } from '../random.ts'
import type { Stage } from '../stage/stage.ts'

const MOST_TIMES = 1.5
const BLOCKS = 5
const PAIRS = 400
const CLIENTS = 4
/** A table that only the system watches, and a copy of it without triggers. */
const WATCHED = 'projects_externalprojectdetails'
const PLAIN = 'checker.unwatched'

export interface Measure {
  readonly name: string
  readonly figures: string
  readonly violations: readonly Violation[]
}

/**
 * Measures how much longer triggers make an update of one row. Updates with and without triggers
 * alternate, so that other load slows both. Uses the median of several blocks.
 */
export async function measureOverhead(stage: Stage, random: Random): Promise<Measure> {
  const clients = await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      const client = new Client({ connectionString: stage.writersUrl })
      await client.connect()
      return client
    }),
  )
  const waits = watchLockWaits(stage.writersUrl)
  const ratios: number[] = []
  const slowest: string[] = []
  try {
    await prepare(clients[0] as Client)
    for (let block = 0; block < BLOCKS; block++) {
      const times = { [WATCHED]: [] as number[], [PLAIN]: [] as number[] }
      await Promise.all(
        clients.map(async (client, id) => {
          for (let n = 0; n < PAIRS / CLIENTS; n++) {
            for (const table of random.shuffled([WATCHED, PLAIN] as const)) {
              const startMs = performance.now()
              await client.query(`update ${table} set aims = $1 where id = $2`, [
                `${block} ${n}`,
                id + 1,
              ])
              times[table].push(performance.now() - startMs)
            }
          }
        }),
      )
      const [watched, plain] = [p99(times[WATCHED]), p99(times[PLAIN])]
      ratios.push(watched / plain)
      slowest.push(`${watched.toFixed(1)} to ${plain.toFixed(1)} ms`)
    }
  } finally {
    for (const client of clients) await client.end()
  }
  const ratio = ratios.toSorted((a, b) => a - b)[Math.floor(BLOCKS / 2)] ?? 0
  const violations = [...(await waits.stop())]
  if (ratio > MOST_TIMES) {
    violations.push({
      guarantee: 'G5',
      what: `p99 of writes with triggers is ${ratio.toFixed(2)} times that without, more than ${MOST_TIMES}`,
      timeline: slowest,
    })
  }
  return {
    name: 'trigger overhead',
    figures: `p99 of writes ${ratio.toFixed(2)} times that without triggers (${slowest.join(', ')})`,
    violations,
  }
}

async function prepare(client: Client): Promise<void> {
  await client.query(`
    insert into ${WATCHED} (id, project_id, aims)
    select id, id, '' from projects_project where id <= ${CLIENTS} on conflict do nothing;
    drop table if exists ${PLAIN};
    create table ${PLAIN} (like ${WATCHED} including all);
    insert into ${PLAIN} select * from ${WATCHED};
  `)
}

const p99 = (times: readonly number[]): number =>
  times.toSorted((a, b) => a - b)[Math.floor(0.99 * times.length)] ?? 0

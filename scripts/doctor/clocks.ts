import type { Client } from 'pg'
import { readClockOffset } from '../../shared/cache/clock.ts'
import type { Redis } from '../../shared/redis.ts'
import { type Finding, note, wrong } from './finding.ts'

/** Above it figures of lag mean nothing. */
const NOTICED_MS = 1_000
/** What tokens allow hosts to differ by. */
const TOLERATED_MS = 20_000

/** Whether the clocks of Redis, Postgres and this host agree. Nothing is ordered by more than one of them. */
export async function checkClocks(
  client: Client,
  redis: Redis,
  prefix: string,
): Promise<Finding[]> {
  const clocks = [
    ['Redis', await offsetOf(async () => timeOf(await redis.time()))],
    [
      'Postgres',
      await offsetOf(async () => {
        const { rows } = await client.query<{ ms: string }>(
          'select extract(epoch from clock_timestamp()) * 1000 as ms',
        )
        return Number(rows[0]?.ms)
      }),
    ],
  ] as const
  const steppedMs = await readClockOffset(redis, prefix)
  return [
    ...clocks.flatMap(([name, offsetMs]) => clockFindings(name, offsetMs)),
    ...(steppedMs < NOTICED_MS ? [] : [steppedBack(steppedMs)]),
  ]
}

const steppedBack = (ms: number): Finding =>
  note(
    `the clock of Redis has stepped back, by ${Math.round(ms / 1000)} s altogether`,
    'ages are still right; a step while no process runs would make entries look younger',
    'let NTP slew the clock instead of stepping it',
  )

/** What follows from how far a clock is ahead of this host's; pure, since no test can turn a clock. */
export function clockFindings(name: string, offsetMs: number): Finding[] {
  if (Math.abs(offsetMs) <= NOTICED_MS) return []
  const what = `the clock of ${name} differs from this host's by ${Math.round(offsetMs)} ms`
  const remedy = 'let NTP set all of them'
  if (Math.abs(offsetMs) <= TOLERATED_MS) {
    return [note(what, 'figures of lag are wrong by as much; answers are not', remedy)]
  }
  return [wrong(what, 'API hosts that differ as much take tokens for too old that are not', remedy)]
}

/** How far a clock is ahead of ours: at least so much, given that its answer took a while. */
async function offsetOf(read: () => Promise<number>): Promise<number> {
  const beforeMs = Date.now()
  const theirsMs = await read()
  const afterMs = Date.now()
  if (theirsMs > afterMs) return theirsMs - afterMs
  return Math.min(0, theirsMs - beforeMs)
}

const timeOf = ([seconds, microseconds]: readonly (number | string)[]) =>
  Number(seconds) * 1000 + Number(microseconds) / 1000

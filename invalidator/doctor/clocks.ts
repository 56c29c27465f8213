import type { Client } from '../../db/event-log/index.ts'
import { readClockOffset, type Redis } from '../../shared/cache/index.ts'
import { type Finding, note, wrong } from './finding.ts'

/** Offsets above this distort the lag metrics. */
const NOTICED_MS = 1_000
/** Clock difference between hosts that consistency tokens tolerate. */
const TOLERATED_MS = 20_000

/** Checks that the clocks of Redis, Postgres and this host agree. No ordering compares two of these clocks. */
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
    `the clock of Redis has stepped back by ${Math.round(ms / 1000)} s in total`,
    'ages are corrected for it; a step while no process runs would make entries appear too young',
    'configure NTP to slew the clock instead of stepping it',
  )

/** Returns the findings for a clock that is `offsetMs` ahead of this host's. Pure, because tests cannot set a clock. */
export function clockFindings(name: string, offsetMs: number): Finding[] {
  if (Math.abs(offsetMs) <= NOTICED_MS) return []
  const what = `the clock of ${name} differs from this host's by ${Math.round(offsetMs)} ms`
  const remedy = 'synchronise the clocks of all hosts with NTP'
  if (Math.abs(offsetMs) <= TOLERATED_MS) {
    return [note(what, 'lag metrics are wrong by as much; responses stay correct', remedy)]
  }
  return [
    wrong(
      what,
      'API hosts that differ by as much treat valid consistency tokens as expired',
      remedy,
    ),
  ]
}

/**
 * Returns how far a clock is ahead of this host's, in milliseconds; negative if it is behind. The
 * round trip makes the result uncertain, so this is the smallest offset that explains the reading.
 */
async function offsetOf(read: () => Promise<number>): Promise<number> {
  const beforeMs = Date.now()
  const theirsMs = await read()
  const afterMs = Date.now()
  if (theirsMs > afterMs) return theirsMs - afterMs
  return Math.min(0, theirsMs - beforeMs)
}

const timeOf = ([seconds, microseconds]: readonly (number | string)[]) =>
  Number(seconds) * 1000 + Number(microseconds) / 1000

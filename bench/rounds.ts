import type { ArmName } from './arms.ts'
import { median } from './statistics.ts'
import type { WrkRun } from './wrk.ts'

/** What one arm did in one round. */
export interface ArmRun extends WrkRun {
  /** The share of its answers that were what the arm is called: 1, or it measured something else. */
  readonly asExpected: number
}

/** One run of every arm, close together in time, so that what else the machine does hits them alike. */
export type Round = ReadonlyMap<ArmName, ArmRun>

/** Above this the client is the limit, and a ratio would compare two runs of it. */
const CLIENT_BUSY = 0.9
/** Below this the server waited for somebody else. */
const SERVER_BUSY = 0.85
const AS_EXPECTED = 0.99

/** Why nothing can be concluded from a run about its server; nothing when something can. */
function failure({ client, server, asExpected }: ArmRun): string | undefined {
  if (!(asExpected >= AS_EXPECTED)) return 'other answers'
  if (client.busy > CLIENT_BUSY) return 'client-bound'
  if (server.busy < SERVER_BUSY) return 'not server-bound'
  return undefined
}

/** The median over the rounds of one arm against another, each from the same round; or why there is none. */
export function ratioOf(rounds: readonly Round[], arm: ArmName, base: ArmName): number | string {
  const pairs = rounds.map((round) => [run(round, arm), run(round, base)] as const)
  const accepted = pairs.filter((pair) => pair.every((one) => failure(one) === undefined))
  if (2 * accepted.length <= pairs.length) {
    return (
      pairs
        .flat()
        .map(failure)
        .find((reason) => reason !== undefined) ?? 'no rounds'
    )
  }
  return median(accepted.map(([one, other]) => one.perS / other.perS))
}

/** The same by processor time for each request, which other processes disturb less. */
export const cpuRatioOf = (rounds: readonly Round[], arm: ArmName, base: ArmName): number =>
  median(rounds.map((round) => run(round, base).cpuUs / run(round, arm).cpuUs))

/** The median of something over the rounds of an arm. */
export const over = (rounds: readonly Round[], arm: ArmName, of: (run: ArmRun) => number) =>
  median(rounds.map((round) => of(run(round, arm))))

const run = (round: Round, arm: ArmName) => round.get(arm) as ArmRun

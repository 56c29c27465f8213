import type { ArmName } from './arms.ts'
import { median } from './statistics.ts'
import type { WrkRun } from './wrk.ts'

/** The result of one arm in one round. */
export interface ArmRun extends WrkRun {
  /** Share of responses with the expected outcome. Below about 1, the run is invalid. */
  readonly asExpected: number
}

/** One run of every arm, close together in time, so that other load affects all arms equally. */
export type Round<Name extends string = ArmName> = ReadonlyMap<Name, ArmRun>

/** Above this the client is the bottleneck, and a ratio would compare the client with itself. */
const CLIENT_BUSY = 0.9
/** Below this the server waited for other processes. */
const SERVER_BUSY = 0.85
const AS_EXPECTED = 0.99

/** Returns why a run does not measure its server; undefined if it does. */
function failure({ client, server, asExpected }: ArmRun): string | undefined {
  if (!(asExpected >= AS_EXPECTED)) return 'other outcomes'
  if (client.busy > CLIENT_BUSY) return 'client-bound'
  if (server.busy < SERVER_BUSY) return 'not server-bound'
  return undefined
}

/** Returns the ratio of two arms in each valid round, or the reason why too few are valid. */
export function ratiosOf<Name extends string>(
  rounds: readonly Round<Name>[],
  arm: Name,
  base: Name,
): readonly number[] | string {
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
  return accepted.map(([one, other]) => one.perS / other.perS)
}

/** Returns the median over the rounds of the ratio of two arms, or the reason why there is none. */
export function ratioOf<Name extends string>(
  rounds: readonly Round<Name>[],
  arm: Name,
  base: Name,
): number | string {
  const ratios = ratiosOf(rounds, arm, base)
  return typeof ratios === 'string' ? ratios : median(ratios)
}

/** Returns the same ratio by CPU time per request, which depends less on other processes. */
export const cpuRatioOf = <Name extends string>(
  rounds: readonly Round<Name>[],
  arm: Name,
  base: Name,
): number => median(rounds.map((round) => run(round, base).cpuUs / run(round, arm).cpuUs))

/** Returns the median of a value over the rounds of an arm. */
export const over = <Name extends string>(
  rounds: readonly Round<Name>[],
  arm: Name,
  of: (run: ArmRun) => number,
) => median(rounds.map((round) => of(run(round, arm))))

const run = <Name extends string>(round: Round<Name>, arm: Name) => round.get(arm) as ArmRun

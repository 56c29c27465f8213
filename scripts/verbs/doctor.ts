import { CACHE_PREFIX, type Environment, MAX_STALENESS_MS } from '../../shared/config.ts'
import { examine } from '../doctor/examine.ts'
import { describeFinding } from '../../invalidator/index.ts'
import { maskUrl } from '../mask-url.ts'
import type { Discovered } from '../servers/discover.ts'

/** Examines the live servers and prints the findings. Returns true if none of them is `wrong`. */
export async function runDoctor(
  { databaseUrl, redisUrl }: Discovered,
  environment: Environment,
): Promise<boolean> {
  console.log(`database  ${maskUrl(databaseUrl)}`)
  console.log(`redis     ${redisUrl === undefined ? 'not set' : maskUrl(redisUrl)}`)
  const findings = await examine({
    databaseUrl,
    redisUrl,
    prefix: environment.CACHE_PREFIX || CACHE_PREFIX,
    maxStalenessMs: Number(environment.MAX_STALENESS_MS || MAX_STALENESS_MS),
  })
  for (const finding of findings) console.log(describeFinding(finding))
  const count = findings.filter(({ kind }) => kind === 'wrong').length
  console.log(count === 0 ? '\nnothing is wrong' : `\n${count} wrong`)
  return count === 0
}

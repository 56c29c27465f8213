import { setTimeout as sleep } from 'node:timers/promises'
import { ConfigurationError } from '../connection/configuration-error.ts'
import { digestOf, type RulesDefinition } from './definition.ts'
import { install, type InstallReport } from './install.ts'
import { type Installer, type InstallerOptions, openInstaller } from './installer.ts'

export interface RetireReport extends InstallReport {
  /** Number of builds that were retired. */
  readonly retired: number
}

/**
 * Retires all builds except this one, and removes triggers that only they require. It waits `graceMs`
 * before the triggers change, so that the other builds' invalidators can mark their cached values in
 * Redis as unreadable.
 * @throws ConfigurationError if this build is not installed.
 */
export async function retireOthers(
  url: string,
  kept: RulesDefinition,
  graceMs: number,
  options: InstallerOptions = {},
): Promise<RetireReport> {
  let retired: number
  {
    await using installer = await openInstaller(url, options)
    const { rowCount } = await installer.client.query(
      'select from invalidation.build where digest = $1 and retired_at is null',
      [digestOf(kept)],
    )
    if (rowCount === 0) throw new ConfigurationError('this build is not installed')
    retired = await retireBuilds(installer, digestOf(kept))
    await waitForGracePeriod(installer, graceMs)
  }
  return { retired, ...(await install(url, kept, options)) }
}

/** Retires every build except `kept`. Invalidators detect it with their next inspection. */
export async function retireBuilds({ client }: Installer, kept = ''): Promise<number> {
  const { rowCount } = await client.query(
    `update invalidation.build set retired_at = clock_timestamp()
     where retired_at is null and digest <> $1`,
    [kept],
  )
  return rowCount ?? 0
}

/** Waits until the last retirement is `graceMs` ago, including those of an interrupted earlier call. */
export async function waitForGracePeriod({ client }: Installer, graceMs: number): Promise<void> {
  const { rows } = await client.query<{ left_ms: string }>(
    `select $1 - 1000 * extract(epoch from clock_timestamp() - max(retired_at)) as left_ms
     from invalidation.build`,
    [graceMs],
  )
  await sleep(Math.max(0, Number(rows[0]?.left_ms ?? 0)))
}

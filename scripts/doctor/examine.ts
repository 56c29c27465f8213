import { once } from 'node:events'
import type { Client } from 'pg'
import { connectPlain, pinSession, SettingsLost } from '../../db/connection.ts'
import { createLedger } from '../../shared/cache/ledger.ts'
import { openRedis } from '../../shared/redis.ts'
import { checkClocks } from './clocks.ts'
import { checkDefaults } from './defaults.ts'
import { type Finding, wrong } from './finding.ts'
import { checkGrants } from './grants.ts'
import { checkInvalidator, checkWatermarks } from './invalidator.ts'
import { checkLocks } from './locks.ts'
import { checkNames } from './names.ts'
import { checkPooler } from './pooler.ts'
import { checkPublications } from './publications.ts'
import { checkRedis } from './redis.ts'
import { checkSettings } from './settings.ts'
import { checkStandbys } from './standbys.ts'
import { checkStatistics } from './statistics.ts'
import { checkTriggers } from './triggers.ts'

export interface Patient {
  readonly databaseUrl: string
  /** Without one only the database is looked at. */
  readonly redisUrl: string | undefined
  readonly prefix: string
  readonly maxStalenessMs: number
}

const APPLICATION_NAME = 'spms-doctor'
const REDIS_PATIENCE_MS = 2_000

/** Looks at the live servers, and changes nothing on them. */
export async function examine(patient: Patient): Promise<readonly Finding[]> {
  const { databaseUrl } = patient
  const client = await connectPlain(databaseUrl, { applicationName: APPLICATION_NAME })
  try {
    // As any program of this role finds them, before the session has values of its own.
    const settings = [...(await checkSettings(client)), ...(await checkDefaults(client))]
    await pinSession(client, databaseUrl, APPLICATION_NAME).catch((error: unknown) => {
      // What checkPooler finds then explains it.
      if (!(error instanceof SettingsLost)) throw error
    })
    const { rows } = await client.query<{ installed: boolean }>(
      `select to_regclass('invalidation.floor') is not null as installed`,
    )
    const isInstalled = rows[0]?.installed === true
    const log = isInstalled ? await examineLog(client, patient) : [NOT_INSTALLED]
    const pooler = await checkPooler(databaseUrl, APPLICATION_NAME)
    const incarnation = isInstalled ? await findLife(client) : null
    const redis = await examineRedis(client, patient, incarnation)
    return [...settings, ...log, ...pooler, ...redis]
  } finally {
    // Behind a pooler in transaction mode the next one gets this backend.
    await client.query('reset all').catch(() => undefined)
    await client.end()
  }
}

async function findLife(client: Client): Promise<string | null> {
  const { rows } = await client.query<{ id: string }>('select id from invalidation.life')
  return rows[0]?.id ?? null
}

const NOT_INSTALLED = wrong(
  'the event log is not installed',
  'no change reaches the cache, so nothing is cached',
  'npm run spms -- install',
)

async function examineLog(client: Client, { databaseUrl }: Patient): Promise<Finding[]> {
  return [
    ...(await checkTriggers(client)),
    ...(await checkNames(client)),
    ...(await checkGrants(client)),
    ...(await checkInvalidator(databaseUrl)),
    ...(await checkLocks(client)),
    ...(await checkPublications(client)),
    ...(await checkStandbys(client)),
    ...(await checkStatistics(client)),
  ]
}

async function examineRedis(
  client: Client,
  patient: Patient,
  incarnation: string | null,
): Promise<Finding[]> {
  const { redisUrl, prefix, maxStalenessMs } = patient
  if (redisUrl === undefined) return []
  const redis = openRedis(redisUrl, {
    name: APPLICATION_NAME,
    commandTimeoutMs: REDIS_PATIENCE_MS,
    onState: () => undefined,
  })
  try {
    const ready = once(redis, 'ready', { signal: AbortSignal.timeout(REDIS_PATIENCE_MS) })
    if (!(await ready.catch(() => null))) {
      return [
        wrong(
          'Redis does not answer',
          'every read goes to Postgres',
          'start it, or correct REDIS_URL; Redis Cluster is not supported',
        ),
      ]
    }
    return [
      ...(await checkRedis(redis)),
      ...(await checkClocks(client, redis)),
      ...(await checkWatermarks(createLedger(redis, prefix), maxStalenessMs, incarnation)),
    ]
  } finally {
    redis.disconnect()
  }
}

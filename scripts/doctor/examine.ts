import type { Client } from 'pg'
import { connectPlain, pinSession, SettingsLost } from '../../db/event-log/index.ts'
import {
  createInvalidationStores,
  explainRedisError,
  isDenial,
  openBuckets,
} from '../../shared/cache/index.ts'
import { untilAvailable } from '../verbs/with-redis.ts'
import {
  checkClocks,
  checkInvalidator,
  checkLocks,
  checkRedis,
  checkSegments,
  checkTriggers,
  checkWatermarks,
  type Finding,
  placesOf,
  type ServerPlace,
  wrong,
} from '../../invalidator/index.ts'
import { APPLICATION } from '../../shared/application.ts'
import { checkCluster } from './cluster.ts'
import { checkDefaults } from './defaults.ts'
import { checkGrants } from './grants.ts'
import { checkKeys } from './keys.ts'
import { checkNames } from './names.ts'
import { checkPermissions } from './permissions.ts'
import { checkPooler } from './pooler.ts'
import { checkPublications } from './publications.ts'
import { checkSettings } from './settings.ts'
import { checkStandbys } from './standbys.ts'
import { checkStatistics } from './statistics.ts'

export interface ExamineOptions {
  readonly databaseUrl: string
  /** If undefined, only the database is examined. */
  readonly redisUrl: string | undefined
  readonly prefix: string
  readonly maxStalenessMs: number
}

const APPLICATION_NAME = 'spms-doctor'
const REDIS_TIMEOUT_MS = 2_000

/** Examines the live servers without changing them. */
export async function examine(options: ExamineOptions): Promise<readonly Finding[]> {
  const { databaseUrl } = options
  const client = await connectPlain(databaseUrl, { applicationName: APPLICATION_NAME })
  try {
    // Before pinSession, these are the settings of any session of this role.
    const settings = [
      ...(await attempt('the settings of Postgres', () => checkSettings(client))),
      ...(await attempt('the defaults of roles', () => checkDefaults(client))),
    ]
    await pinSession(client, databaseUrl, APPLICATION_NAME).catch((error: unknown) => {
      // checkPooler reports the cause.
      if (!(error instanceof SettingsLost)) throw error
    })
    const { rows } = await client.query<{ installed: boolean }>(
      `select to_regclass('invalidation.retention_floor') is not null as installed`,
    )
    const isInstalled = rows[0]?.installed === true
    const log = isInstalled ? await examineEventLog(client, options) : [NOT_INSTALLED]
    const pooler = await attempt('the connection to Postgres', () =>
      checkPooler(databaseUrl, APPLICATION_NAME),
    )
    const incarnation = isInstalled ? await findIncarnation(client).catch(() => null) : null
    const redis = await examineRedis(client, options, incarnation)
    const begun =
      isInstalled && incarnation === null && !(await isStandby(client)) ? [NOT_BEGUN] : []
    return [...settings, ...log, ...begun, ...pooler, ...redis]
  } finally {
    // A pooler in transaction mode gives this backend to the next client.
    await client.query('reset all').catch(() => undefined)
    await client.end()
  }
}

/** Runs a check. If it fails, the error becomes a finding and the other checks still run. */
async function attempt(name: string, check: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await check()
  } catch (error) {
    return [
      wrong(
        `cannot examine ${name}: ${error instanceof Error ? error.message : String(error)}`,
        'this check has no result',
        isDenial(error)
          ? 'grant the Redis permissions that the other findings list'
          : 'fix the cause that the error names',
      ),
    ]
  }
}

async function findIncarnation(client: Client): Promise<string | null> {
  const { rows } = await client.query<{ id: string }>(
    'select id from invalidation.current_incarnation',
  )
  return rows[0]?.id ?? null
}

async function isStandby(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ standby: boolean }>('select pg_is_in_recovery() as standby')
  return rows[0]?.standby === true
}

const NOT_BEGUN = wrong(
  'no incarnation has begun since Postgres was started',
  'no loaded value is stored in Redis',
  'start an invalidator, or an API whose role may write and execute invalidation.begin_incarnation(); the log of the API contains the reason if it cannot',
)

const NOT_INSTALLED = wrong(
  'the event log is not installed',
  'no change reaches the cache, so nothing is cached',
  APPLICATION.installCommand,
)

async function examineEventLog(
  client: Client,
  { databaseUrl }: ExamineOptions,
): Promise<Finding[]> {
  return [
    ...(await attempt('the triggers', () => checkTriggers(client, APPLICATION))),
    ...(await attempt('the segments of the event log', () => checkSegments(client, APPLICATION))),
    ...(await attempt('the names of tables', () => checkNames(client))),
    ...(await attempt('the grants', () => checkGrants(client))),
    ...(await attempt('the invalidators', () => checkInvalidator(databaseUrl, APPLICATION))),
    ...(await attempt('the locks', () => checkLocks(client, APPLICATION))),
    ...(await attempt('the publications', () => checkPublications(client))),
    ...(await attempt('the standbys', () => checkStandbys(client))),
    ...(await attempt('the statistics', () => checkStatistics(client))),
  ]
}

async function examineRedis(
  client: Client,
  options: ExamineOptions,
  incarnation: string | null,
): Promise<Finding[]> {
  const { redisUrl, prefix, maxStalenessMs } = options
  if (redisUrl === undefined) return []
  let lastError: Error | undefined
  const buckets = openBuckets(redisUrl, prefix, {
    name: APPLICATION_NAME,
    commandTimeoutMs: REDIS_TIMEOUT_MS,
    // A standby rejects the writes of checkPermissions, and the other checks need the connection.
    staysOnReplica: true,
    onState: (_, error) => (lastError = error ?? lastError),
  })
  try {
    if ((await untilAvailable(buckets, REDIS_TIMEOUT_MS, REDIS_TIMEOUT_MS)) === 0) {
      const reason = lastError === undefined ? 'no reply' : explainRedisError(lastError).message
      return [
        wrong(
          'Redis does not answer',
          `every read goes to Postgres (${reason})`,
          'start it, or correct REDIS_URL',
        ),
      ]
    }
    const places = placesOf(buckets)
    const each = (name: string, check: (place: ServerPlace) => Promise<Finding[]>) =>
      eachPlace(places, buckets.count > 1, name, check)
    return [
      ...(await attempt('the cluster', () => checkCluster(buckets))),
      ...(await each('the permissions in Redis', ({ redis, prefix: there }) =>
        checkPermissions(redis, { prefix, keysUnder: there, isCluster: buckets.count > 1 }),
      )),
      ...(await each('the settings of Redis', ({ redis }) => checkRedis(redis))),
      ...(await each('the clocks', ({ redis, prefix: there }) =>
        checkClocks(client, redis, there),
      )),
      ...(await attempt('the watermarks', () =>
        checkWatermarks(
          createInvalidationStores(buckets),
          maxStalenessMs,
          incarnation,
          APPLICATION,
        ),
      )),
      ...(await attempt('the keys', () => checkKeys(buckets, prefix))),
    ]
  } finally {
    buckets[Symbol.dispose]()
  }
}

/** Runs a check on each server. Findings of a cluster name the server. */
async function eachPlace(
  places: readonly ServerPlace[],
  isCluster: boolean,
  name: string,
  check: (place: ServerPlace) => Promise<Finding[]>,
): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const place of places) {
    const { host, port } = place.redis.options
    for (const finding of await attempt(name, () => check(place))) {
      findings.push(isCluster ? { ...finding, what: `${host}:${port}: ${finding.what}` } : finding)
    }
  }
  return findings
}

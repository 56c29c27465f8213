import {
  type Client,
  connectPlain,
  findSessions,
  type LogStatus,
  pinSession,
} from '../../db/event-log/index.ts'
import type { Buckets, InvalidationStores } from '../../shared/cache/index.ts'
import type { ExaminedApplication } from '../doctor/application.ts'
import { checkClocks } from '../doctor/clocks.ts'
import { type Finding, note, wrong } from '../doctor/finding.ts'
import { checkLocks } from '../doctor/locks.ts'
import { placesOf } from '../doctor/places.ts'
import { checkRedis } from '../doctor/redis.ts'
import { checkSegments } from '../doctor/segments.ts'
import { checkTriggers } from '../doctor/triggers.ts'
import { checkWatermarks, noInvalidator } from '../doctor/watermarks.ts'

/** Result of an examination of the servers. */
export interface Examined {
  /** The wrong ones first. */
  readonly findings: readonly Finding[]
  /** Sessions of invalidators in Postgres; null if it does not answer. */
  readonly sessions: LogStatus['sessions'] | null
}

export interface ExaminationDeps {
  readonly databaseUrl: string
  readonly applicationName: string
  readonly buckets: Buckets
  readonly stores: InvalidationStores
  readonly application: ExaminedApplication
  readonly maxStalenessMs: number
}

/** Results of this age are used again. */
const FRESH_MS = 3_000

/** Returns a function that examines the servers on demand, one examination at a time. */
export function createExamination(deps: ExaminationDeps): () => Promise<Examined> {
  let last: { readonly atMs: number; readonly examined: Examined } | undefined
  let running: Promise<Examined> | undefined

  const run = async () => {
    const examined = await examine(deps)
    last = { atMs: performance.now(), examined }
    return examined
  }

  return async () => {
    if (last !== undefined && performance.now() - last.atMs < FRESH_MS) return last.examined
    running ??= run().finally(() => (running = undefined))
    // A page does not wait for a slow examination if an older result exists.
    return last?.examined ?? running
  }
}

async function examine(deps: ExaminationDeps): Promise<Examined> {
  const { databaseUrl, applicationName, buckets, stores, application } = deps
  const findings: Finding[] = []
  const attempt = async (name: string, check: () => Promise<readonly Finding[]>): Promise<void> => {
    try {
      findings.push(...(await check()))
    } catch (error) {
      findings.push(cannotExamine(name, error))
    }
  }
  const { available, count } = buckets
  const isRedisUp = available > 0
  if (!isRedisUp) findings.push(NO_REDIS)
  else if (available < count) findings.push(bucketsMissing(count - available, count))
  let sessions: Examined['sessions'] = null
  try {
    const client = await connectPlain(databaseUrl, { applicationName })
    try {
      await pinSession(client, databaseUrl, applicationName)
      sessions = await findSessions(client, application.sessionPrefix)
      if (sessions.length === 0) findings.push(noInvalidator('the log grows'))
      await attempt('the triggers', () => checkTriggers(client, application))
      await attempt('the segments of the event log', () => checkSegments(client, application))
      await attempt('the locks', () => checkLocks(client, application))
      if (isRedisUp) {
        const incarnation = await readIncarnation(client).catch(() => null)
        await attempt('the watermarks', () =>
          checkWatermarks(stores, deps.maxStalenessMs, incarnation, application),
        )
        for (const { redis, prefix } of placesOf(buckets)) {
          await attempt('the settings of Redis', () => checkRedis(redis))
          await attempt('the clocks', () => checkClocks(client, redis, prefix))
        }
      }
    } finally {
      await client.end()
    }
  } catch (error) {
    findings.unshift(noPostgres(error))
  }
  return {
    findings: [...findings.filter(isWrong), ...findings.filter((one) => !isWrong(one))],
    sessions,
  }
}

const isWrong = ({ kind }: Finding) => kind === 'wrong'

async function readIncarnation(client: Client): Promise<string | null> {
  const { rows } = await client.query<{ id: string }>(
    'select id from invalidation.current_incarnation',
  )
  return rows[0]?.id ?? null
}

const textOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

const cannotExamine = (name: string, error: unknown): Finding =>
  note(
    `cannot examine ${name}: ${textOf(error)}`,
    'this check has no result',
    'fix the cause that the error names',
  )

export const NO_REDIS: Finding = wrong(
  'Redis does not answer',
  'every read goes to Postgres; answers stay correct',
  'start it, or correct REDIS_URL',
)

export const bucketsMissing = (missing: number, count: number): Finding =>
  wrong(
    `${missing} of ${count} buckets have no reachable server`,
    'their entries are loaded from Postgres for each read',
    'start the missing master or promote its replica; if it runs, map its advertised address with map= in REDIS_URL',
  )

const noPostgres = (error: unknown): Finding =>
  wrong(
    `Postgres does not answer: ${textOf(error)}`,
    'nothing is loaded and nothing is invalidated',
    'start it, or correct DATABASE_URL',
  )

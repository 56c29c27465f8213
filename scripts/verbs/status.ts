import { once } from 'node:events'
import { type LogStatus, readBacklog, readStatus } from '../../db/event-log/index.ts'
import {
  ageMsOf,
  createInvalidationStore,
  decodeWatermark,
  isUnreadable,
  openRedis,
} from '../../shared/cache/index.ts'
import { catalog } from '../../shared/resources/index.ts'
import { maskUrl } from '../mask-url.ts'
import type { Discovered } from '../servers/discover.ts'

const REDIS_TIMEOUT_MS = 2_000
const STATUS = { applicationName: 'spms-status', sessionPrefix: 'spms-' }

/** Prints the installed rules, damaged triggers, the backlog and the age of each watermark. */
export async function runStatus(
  { databaseUrl, redisUrl }: Discovered,
  prefix: string,
): Promise<void> {
  const status = await readStatus(databaseUrl, STATUS)
  console.log(`database     ${maskUrl(databaseUrl)}`)
  for (const line of describeLog(status)) console.log(line)
  if (status.version !== null && redisUrl !== undefined) {
    console.log(`redis        ${maskUrl(redisUrl)}, prefix ${prefix}`)
    for (const line of await describeWatermarks(redisUrl, prefix, databaseUrl)) console.log(line)
  }
}

function describeLog(status: LogStatus): string[] {
  if (status.version === null) return ['event log    not installed: npm run spms -- install']
  const { damaged } = status
  return [
    `rules        version ${status.version}, ${status.tables} tables watched`,
    ...(damaged.length === 0
      ? ['triggers     intact']
      : [
          'triggers     DAMAGED: npm run spms -- doctor prints the remedies',
          ...new Set(damaged.map(({ text }) => `  ${text}`)),
        ]),
    `event log    ${status.events} events, ${Math.ceil(status.bytes / 1024)} KiB`,
    ...(status.sessions.length === 0
      ? ['invalidator  NONE is running: nothing is invalidated']
      : status.sessions.map(
          ({ application, locks }) => `invalidator  ${application}, ${locks} locks`,
        )),
  ]
}

async function describeWatermarks(
  redisUrl: string,
  prefix: string,
  databaseUrl: string,
): Promise<string[]> {
  const redis = openRedis(redisUrl, {
    name: 'spms-status',
    commandTimeoutMs: REDIS_TIMEOUT_MS,
    onState: () => undefined,
  })
  try {
    try {
      await once(redis, 'ready', { signal: AbortSignal.timeout(REDIS_TIMEOUT_MS) })
    } catch {
      return ['             does not answer']
    }
    const invalidationStore = createInvalidationStore(redis, prefix)
    const nowMs = await invalidationStore.time()
    return await Promise.all(
      catalog.map(async ({ name }) => {
        const stored = await invalidationStore.read(name)
        if (isUnreadable(stored)) return `  ${name.padEnd(24)} unreadable watermark`
        const mark = decodeWatermark(stored)
        if (!mark) return `  ${name.padEnd(24)} no watermark`
        const ageS = (ageMsOf(mark, nowMs) / 1000).toFixed(1)
        const { events, oldestMs } = await readBacklog(databaseUrl, mark.snapshot, STATUS)
        const lag =
          events === 0 ? 'no backlog' : `backlog ${events} events, ${oldestMs.toFixed(0)} ms`
        return `  ${name.padEnd(24)} watermark ${ageS} s old, ${lag}`
      }),
    )
  } finally {
    redis.disconnect()
  }
}

import { setTimeout as sleep } from 'node:timers/promises'
import { Counter, Registry } from 'prom-client'
import { openDatabase } from '../../db/database.ts'
import { findMoment } from '../../db/event-log/index.ts'
import { createVerifier, type Verified, type Verifier } from '../../shared/cache/index.ts'
import { CACHE_PREFIX, type Environment } from '../../shared/config.ts'
import { ConfigurationError } from '../../shared/errors.ts'
import { createStatusServer } from '../../shared/metrics.ts'
import { loadable } from '../../shared/resources/index.ts'
import { closeServer, listen } from '../../shared/server.ts'
import type { Discovered } from '../servers/discover.ts'
import { stopSignal } from './stop-signal.ts'
import { withRedis } from './with-redis.ts'

export interface VerifyOptions {
  /**
   * Number of entries to compare, chosen at random. By default all entries, or with `watch` 100 each time.
   */
  readonly sample?: number
  /** Compares 1, 10 and 60 s after changes of the database, until a signal stops it. */
  readonly watch: boolean
}

/** Remedy for values that this program did not write. */
const OTHER_WRITER = 'another program writes such keys: change its prefix or CACHE_PREFIX'
/** Seconds after a change at which a sample is compared. */
const AGES_S = [1, 10, 60]
const POLL_INTERVAL_MS = 500
/** Minimum time between two rounds under uninterrupted changes. */
const ROUND_EVERY_MS = 1_000
const WATCHED_SAMPLE = 100

/**
 * Compares cached values with Postgres and prints the differences. Returns true if no value is wrong or
 * unproven; with `watch`, if no value is wrong and the last round succeeded.
 */
export async function runVerify(
  { databaseUrl, redisUrl, sessionSecrets }: Discovered,
  environment: Environment,
  { sample, watch }: VerifyOptions,
): Promise<boolean> {
  if (redisUrl === undefined) throw new ConfigurationError('REDIS_URL: is not set')
  if (sessionSecrets.length === 0) {
    console.log('SESSION_SECRETS is not set: user:access and user:by_email are not compared')
  }
  const db = openDatabase({ url: databaseUrl, poolSize: 1, applicationName: 'spms-verify' })
  try {
    const prefix = environment.CACHE_PREFIX || CACHE_PREFIX
    return await withRedis(redisUrl, prefix, async (buckets) => {
      const resources = loadable(sessionSecrets)
      const verifier = createVerifier({ buckets, db, resources, prefix })
      if (!watch) return report(await verifier.verify(sample))
      return verifyContinuously(verifier, environment, sample ?? WATCHED_SAMPLE, async () => {
        const { snapshot } = await findMoment(db)
        return snapshot.text
      })
    })
  } finally {
    await db.destroy()
  }
}

function report(found: readonly Verified[]): boolean {
  const count = (outcome: Verified['outcome']) =>
    found.filter((one) => one.outcome === outcome).length
  printMismatches(found)
  console.log(
    `${found.length} examined: ${count('right')} right, ${count('changed')} changed meanwhile, ` +
      `${count('unproven')} different while the watermark did not advance, ${count('wrong')} wrong` +
      (count('unreadable') === 0 ? '' : `, ${count('unreadable')} unreadable`),
  )
  return count('wrong') === 0 && count('unproven') === 0
}

function printMismatches(found: readonly Verified[]): void {
  for (const { outcome, resource, key, variant } of found) {
    if (outcome === 'wrong') console.log(`WRONG  ${resource}  ${key}  ${variant}  (deleted)`)
    if (outcome === 'unproven') {
      console.log(`UNPROVEN  ${resource}  ${key}  ${variant}  (the watermark did not advance)`)
    }
    if (outcome === 'unreadable') {
      console.log(`UNREADABLE  ${resource}  ${key}  ${variant}  (deleted; ${OTHER_WRITER})`)
    }
  }
}

/**
 * Detects changes by the snapshot, which advances with every writing transaction of the cluster.
 * Events would not reveal a change whose rule or trigger is missing.
 */
async function verifyContinuously(
  verifier: Verifier,
  { HOST, METRICS_PORT }: Environment,
  sample: number,
  readSnapshot: () => Promise<string>,
): Promise<boolean> {
  const registry = new Registry()
  const verified = new Counter({
    name: 'spms_verified_total',
    help: 'Cached answers compared with Postgres, by seconds after a change and by outcome',
    labelNames: ['after_s', 'outcome'],
    registers: [registry],
  })
  const stopping = stopSignal()
  // A round fails while Postgres or Redis restarts. Not ready before the first successful round.
  let hasFailed = true
  let lastReason = ''
  const server = createStatusServer({ registry, isReady: () => !hasFailed })
  const address = { host: HOST || '127.0.0.1', port: Number(METRICS_PORT || 0) }
  const port = await listen(server, { ...address, setting: 'METRICS_PORT' })
  console.log(`watching; metrics on port ${port}`)

  let isRight = true
  let seen: string | undefined
  let changedAtMs = -Infinity
  const due: { readonly atMs: number; readonly afterS: number }[] = []
  const pause = () =>
    sleep(POLL_INTERVAL_MS, undefined, { signal: stopping }).catch(() => undefined)

  async function round(): Promise<void> {
    const snapshot = await readSnapshot()
    const nowMs = performance.now()
    seen ??= snapshot
    if (snapshot !== seen && nowMs - changedAtMs >= ROUND_EVERY_MS) {
      changedAtMs = nowMs
      seen = snapshot
      for (const afterS of AGES_S) due.push({ atMs: nowMs + afterS * 1000, afterS })
    }
    const [next] = due.toSorted((a, b) => a.atMs - b.atMs)
    if (next === undefined || next.atMs > nowMs) return pause()
    await verifier.verify(sample, (one) => {
      printMismatches([one])
      verified.labels(String(next.afterS), one.outcome).inc()
      if (one.outcome === 'wrong') isRight = false
    })
    due.splice(due.indexOf(next), 1)
  }

  try {
    while (!stopping.aborted) {
      try {
        await round()
        hasFailed = false
        lastReason = ''
      } catch (error) {
        const reason = `cannot compare, retrying: ${String(error)}`
        if (reason !== lastReason) console.log(reason)
        lastReason = reason
        hasFailed = true
        await pause()
      }
    }
  } finally {
    await closeServer(server)
  }
  return isRight && !hasFailed
}

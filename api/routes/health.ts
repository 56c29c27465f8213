import { setTimeout as sleep } from 'node:timers/promises'
import { Router } from 'express'
import { type Kysely, sql } from 'kysely'
import { z } from 'zod'
import type { Database } from '../../db/schema.ts'
import { sendJson } from '../http/json.ts'
import { operation } from '../openapi/operation.ts'

export interface HealthDeps {
  readonly db: Kysely<Database>
  /**
   * Whether the process has started and is not draining. It is ready even without Redis or
   * Postgres.
   */
  readonly isReady: () => boolean
}

const TIMEOUT_MS = 2_000

/** Probes for orchestrators and monitors. */
export function healthRoutes({ db, isReady }: HealthDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })

  router.get('/livez', livenessProbe, (_req, res) => sendJson(res, 200, { status: 'ok' }))

  router.get('/readyz', readinessProbe, (_req, res) =>
    isReady()
      ? sendJson(res, 200, { status: 'ok' })
      : sendJson(res, 503, { status: 'fail', error: 'starting or stopping' }),
  )

  // Concurrent requests share one query, so that a flood cannot exhaust the pool.
  let pending: Promise<boolean> | undefined
  const isDatabaseReachable = () => {
    pending ??= pingDatabase(db).finally(() => {
      pending = undefined
    })
    return pending
  }

  router.get('/health/', healthCheck, async (_req, res) => {
    if (await isDatabaseReachable()) sendJson(res, 200, { status: 'ok' })
    else sendJson(res, 500, { status: 'fail', error: 'the database does not answer' })
  })

  return router
}

function pingDatabase(db: Kysely<Database>): Promise<boolean> {
  const answer = sql`select 1`.execute(db).then(
    () => true,
    () => false,
  )
  return Promise.race([answer, sleep(TIMEOUT_MS, false, { ref: false })])
}

const ok = z.strictObject({ status: z.literal('ok') })
const fail = z.strictObject({ status: z.literal('fail'), error: z.string() })

const livenessProbe = operation({
  summary: 'Check whether the process responds',
  who: 'anyone',
  answers: { 200: ok },
})

const readinessProbe = operation({
  summary: 'Check whether the process has started and is not stopping',
  who: 'anyone',
  answers: { 200: ok, 503: fail },
})

const healthCheck = operation({
  summary: 'Check whether the database responds',
  who: 'anyone',
  answers: { 200: ok, 500: fail },
})

import { setTimeout as sleep } from 'node:timers/promises'
import { Router } from 'express'
import { type Kysely, sql } from 'kysely'
import { z } from 'zod'
import type { Database } from '../../db/schema.ts'
import { sendJson } from '../http/json.ts'
import { operation } from '../openapi/operation.ts'

export interface HealthDeps {
  readonly db: Kysely<Database>
  /** Started and not draining. That Redis or Postgres is away does not count: we still answer. */
  readonly isReady: () => boolean
}

const PATIENCE_MS = 2_000

/** What orchestrators and monitors ask. */
export function healthRoutes({ db, isReady }: HealthDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })

  router.get('/livez', isAlive, (_req, res) => sendJson(res, 200, { status: 'ok' }))

  router.get('/readyz', isInUse, (_req, res) =>
    isReady()
      ? sendJson(res, 200, { status: 'ok' })
      : sendJson(res, 503, { status: 'fail', error: 'starting or stopping' }),
  )

  // Shared, so that nobody can fill the pool with it.
  let asking: Promise<boolean> | undefined
  const isDatabaseThere = () => {
    asking ??= answers(db).finally(() => {
      asking = undefined
    })
    return asking
  }

  router.get('/health/', isHealthy, async (_req, res) => {
    if (await isDatabaseThere()) sendJson(res, 200, { status: 'ok' })
    else sendJson(res, 500, { status: 'fail', error: 'the database does not answer' })
  })

  return router
}

function answers(db: Kysely<Database>): Promise<boolean> {
  const answer = sql`select 1`.execute(db).then(
    () => true,
    () => false,
  )
  return Promise.race([answer, sleep(PATIENCE_MS, false, { ref: false })])
}

const ok = z.strictObject({ status: z.literal('ok') })
const fail = z.strictObject({ status: z.literal('fail'), error: z.string() })

const isAlive = operation({
  summary: 'Whether the process answers',
  who: 'anyone',
  answers: { 200: ok },
})

const isInUse = operation({
  summary: 'Whether the process has started and is not stopping',
  who: 'anyone',
  answers: { 200: ok, 503: fail },
})

const isHealthy = operation({
  summary: 'Whether the database answers',
  who: 'anyone',
  answers: { 200: ok, 500: fail },
})

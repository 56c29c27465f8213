import { setTimeout as sleep } from 'node:timers/promises'
import { Router } from 'express'
import { type Kysely, sql } from 'kysely'
import type { Database } from '../../db/schema.ts'
import { sendJson } from '../http/json.ts'

export interface HealthDeps {
  readonly db: Kysely<Database>
  /** Started and not draining. That Redis or Postgres is away does not count: we still answer. */
  readonly isReady: () => boolean
}

const PATIENCE_MS = 2_000

/** What orchestrators and monitors ask. */
export function healthRoutes({ db, isReady }: HealthDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })

  router.get('/livez', (_req, res) => sendJson(res, 200, { status: 'ok' }))

  router.get('/readyz', (_req, res) =>
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

  router.get('/health/', async (_req, res) => {
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

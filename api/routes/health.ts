import { setTimeout as sleep } from 'node:timers/promises'
import { type Kysely, sql } from 'kysely'
import { z } from 'zod'
import type { Database } from '../../db/schema.ts'
import { anyone, type Endpoint, handle } from '../endpoints/index.ts'
import { sendJson } from '../http/json.ts'

export interface HealthDeps {
  readonly db: Kysely<Database>
  /**
   * Whether the process has started and is not draining. It is ready even without Redis or
   * Postgres.
   */
  readonly isReady: () => boolean
}

const TIMEOUT_MS = 2_000

const ok = z.strictObject({ status: z.literal('ok') })
const fail = z.strictObject({ status: z.literal('fail'), error: z.string() })

/** Probes for orchestrators and monitors. */
export function healthEndpoints({ db, isReady }: HealthDeps): readonly Endpoint[] {
  // Concurrent requests share one query, so that a flood cannot exhaust the pool.
  let pending: Promise<boolean> | undefined
  const isDatabaseReachable = () => {
    pending ??= pingDatabase(db).finally(() => {
      pending = undefined
    })
    return pending
  }

  return [
    handle('get', '/livez', {
      summary: 'Check whether the process responds',
      access: anyone,
      answers: { 200: ok },
      handle: (_req, res) => sendJson(res, 200, { status: 'ok' }),
    }),
    handle('get', '/readyz', {
      summary: 'Check whether the process has started and is not stopping',
      access: anyone,
      answers: { 200: ok, 503: fail },
      handle: (_req, res) =>
        isReady()
          ? sendJson(res, 200, { status: 'ok' })
          : sendJson(res, 503, { status: 'fail', error: 'starting or stopping' }),
    }),
    handle('get', '/health/', {
      summary: 'Check whether the database responds',
      access: anyone,
      answers: { 200: ok, 500: fail },
      async handle(_req, res) {
        if (await isDatabaseReachable()) sendJson(res, 200, { status: 'ok' })
        else sendJson(res, 500, { status: 'fail', error: 'the database does not answer' })
      },
    }),
  ]
}

function pingDatabase(db: Kysely<Database>): Promise<boolean> {
  const answer = sql`select 1`.execute(db).then(
    () => true,
    () => false,
  )
  return Promise.race([answer, sleep(TIMEOUT_MS, false, { ref: false })])
}

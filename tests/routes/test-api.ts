import { readFile } from 'node:fs/promises'
import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Express } from 'express'
import { type Kysely, sql } from 'kysely'
import { createApp } from '../../api/app.ts'
import type { HttpConfig } from '../../api/config.ts'
import type { FileStorage } from '../../api/files/storage.ts'
import { createAppServer } from '../../api/http/app-server.ts'
import { isSafe } from '../../api/http/safe-method.ts'
import { createSessions } from '../../api/session/session.ts'
import { openDatabase } from '../../db/database.ts'
import { canRevokeSessions } from '../../db/queries/session-revocations.ts'
import { SESSION_REVOCATION } from '../../db/session-revocation.ts'
import type { Database } from '../../db/schema.ts'
import { COMPRESSION } from '../../shared/cache/index.ts'
import { createLogger } from '../../shared/logger.ts'
import { createTestDatabase, type TestDatabaseOptions } from '../support/database.ts'
import { sessionHeaders } from '../support/session-headers.ts'
import { createUncachedReader } from '../support/uncached-reader.ts'

export interface TestRequest {
  /** Id of the user whose session and CSRF token are sent. Without it the request is anonymous. */
  readonly as?: number
  /** Sent as JSON; a string and a Buffer are sent unchanged. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** Options of the database, and settings that differ from `httpConfig`. */
export interface TestApiOptions extends TestDatabaseOptions {
  readonly http?: Partial<HttpConfig>
  /** Where uploaded files are kept; by default there are none. */
  readonly storage?: FileStorage
}

export interface TestResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  /** The parsed body, or its text if it is not JSON. */
  readonly body: unknown
  readonly bytes: Buffer
}

/** The API without a cache, on its own database with the triggers. */
export interface TestApi extends AsyncDisposable {
  readonly db: Kysely<Database>
  readonly app: Express
  /** Resets the tables to the rows of `world.sql`. */
  reset(): Promise<void>
  /**
   * Sends a request, such as `send('PUT', 'projects/51', { as: 1, body: {} })`. A path without a
   * leading slash is below `/api/v1/`.
   */
  send(method: string, path: string, request?: TestRequest): Promise<TestResponse>
  /** Returns the port, and the headers of a user's session, for requests that `send` cannot make. */
  connect(as: number): Promise<{ readonly port: number; readonly headers: Record<string, string> }>
}

const SECRET = 'a secret of the tests, of 32 characters'
const REVOCATIONS = sql.table(SESSION_REVOCATION)
const WORLD = new URL('world.sql', import.meta.url)

export const httpConfig: HttpConfig = {
  sessionSecrets: [SECRET],
  sessionIdleS: undefined,
  passwordIterations: 1_000,
  tokenLifetimeMs: 30_000,
  bearer: null,
  corsOrigins: [],
  trustProxy: false,
  rateLimit: { perS: 0, burst: 0 },
  expensiveReads: { searchesPerMinute: 0, exportsPerMinute: 0, atOnce: 2, queue: 1000 },
  edgeMaxAgeS: 0,
  compression: COMPRESSION,
  bodyLimitBytes: 10_000,
  uploadLimitBytes: 200_000,
  docsEnabled: true,
  timeZone: 'Australia/Perth',
}

/** Starts the API on a free port. Users have the ids 1 to 5 and the password hash `hash-<id>`. */
export async function startTestApi({
  http,
  storage,
  ...options
}: TestApiOptions = {}): Promise<TestApi> {
  const database = await createTestDatabase({ installed: true, ...options })
  const db = openDatabase({ url: database.url, poolSize: 8, applicationName: 'spms-test-api' })
  const world = await readFile(WORLD, 'utf8')

  const logger = createLogger('test')
  logger.silent = true
  const app = createApp({
    config: { ...httpConfig, ...http },
    reader: createUncachedReader(db),
    db,
    ...(storage && { storage }),
    logger,
    isReady: () => true,
  })
  const server = createAppServer(app, {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const sessions = createSessions([SECRET])

  async function headersOf({ as, body, headers }: TestRequest): Promise<Record<string, string>> {
    const session = as && (await sessions.issue(String(as), `hash-${as}`))
    return {
      ...(session && (await sessionHeaders(session, SECRET))),
      ...(body !== undefined && { 'Content-Type': 'application/json' }),
      ...headers,
    }
  }

  return {
    db,
    app,

    async reset() {
      // DELETE, because TRUNCATE takes half a second for tables with these foreign keys.
      const tables = [...world.matchAll(/insert into (\w+)/g)].map(([, table]) => table)
      const deletes = tables.toReversed().map((table) => `delete from ${table};`)
      await sql.raw(deletes.join('') + world).execute(db)
      if (await canRevokeSessions(db)) await sql`delete from ${REVOCATIONS}`.execute(db)
    },

    connect: async (as) => ({ port, headers: await headersOf({ as }) }),

    async send(method, path, sent = {}) {
      const isRaw = typeof sent.body === 'string' || Buffer.isBuffer(sent.body)
      const text = isRaw ? sent.body : JSON.stringify(sent.body)
      const headers = await headersOf(sent)
      if (text !== undefined) headers['Content-Length'] = String(Buffer.byteLength(text))
      return new Promise((resolve, reject) => {
        // Not fetch, which normalizes paths that tests send on purpose.
        const whole = path.startsWith('/') ? path : `/api/v1/${path}`
        const outgoing = request({ port, method, path: whole, headers }, (res) => {
          const received: Buffer[] = []
          res.on('data', (chunk: Buffer) => received.push(chunk))
          res.on('end', () => {
            const status = res.statusCode ?? 0
            // Every successful write must return a token with which the client reads its own write.
            const isWritten = !isSafe(outgoing) && !READS_BY_POST.test(path) && status < 400
            if (isWritten && !res.headers['consistency-token']) {
              reject(new Error(`${method} ${path}: ${status} without a Consistency-Token`))
            }
            const bytes = Buffer.concat(received)
            resolve({ status, headers: res.headers, body: parsed(bytes.toString()), bytes })
          })
        })
        outgoing.on('error', reject)
        outgoing.end(text)
      })
    },

    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await db.destroy()
      await database[Symbol.asyncDispose]()
    },
  }
}

const READS_BY_POST = /users\/check-\w+-exists$/

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

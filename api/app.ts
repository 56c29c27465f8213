import express, { type Express, Router } from 'express'
import type { Kysely } from 'kysely'
import type { Logger } from 'winston'
import { findMoment } from '../db/event-log/index.ts'
import type { Database } from '../db/schema.ts'
import type { SharedBuckets } from '../shared/redis-buckets.ts'
import { createUserAccess, createUserByEmail } from '../shared/resources/index.ts'
import type { HttpConfig } from './config.ts'
import type { AppDeps } from './deps.ts'
import { createSendAnswer } from './http/answer.ts'
import { createFileChanges } from './files/file-changes.ts'
import { noStorage } from './files/no-storage.ts'
import type { FileStorage } from './files/storage.ts'
import { createAuthentication } from './http/authenticate.ts'
import { readJson } from './http/body.ts'
import { createClient } from './http/client.ts'
import { createConsistency } from './http/consistency.ts'
import { createConsistencyTokens } from './http/consistency-token.ts'
import { createCompressResponse } from './http/compress-response.ts'
import { createExpensiveReads } from './http/expensive-reads.ts'
import { createCommonMiddleware, type Middleware } from './http/common-middleware.ts'
import { type AnswerCached, createCachedReads, createEndpointRouter } from './endpoints/index.ts'
import { createSendReads } from './http/json.ts'
import { createReadForm } from './http/form.ts'
import { createRequestReader } from './http/request-reader.ts'
import { errorHandler, unknownRoute } from './http/problem.ts'
import { createSendTagged } from './http/send-tagged.ts'
import { createSecurityLog } from './http/security-log.ts'
import type { RequestCounter } from './metrics.ts'
import { describeEndpoints } from './openapi/document.ts'
import { docsEndpoints } from './routes/docs.ts'
import { fileEndpoints } from './routes/files.ts'
import { healthEndpoints } from './routes/health.ts'
import { createEndpoints } from './routes/index.ts'
import { createBearer } from './session/bearer.ts'
import { createPasswordAttempts } from './session/password-attempts.ts'
import { createSessions } from './session/session.ts'
import type { Reader } from '../shared/resources/cache.ts'

const BASE = '/api/v1'
const FILES = '/files'

export interface AppOptions {
  readonly config: HttpConfig
  readonly reader: Reader
  /** For health checks and consistency tokens. */
  readonly db: Kysely<Database>
  /**
   * For writes; `db` by default. With a pool of their own, writes cannot exhaust the connections of
   * reads.
   */
  readonly writeDb?: Kysely<Database>
  /** Where uploaded files are kept. Without it there are none, and none can be uploaded. */
  readonly storage?: FileStorage
  readonly logger: Logger
  /** Whether the process has started and is not draining. */
  readonly isReady: () => boolean
  /** Limits of log-in attempts that all API processes share. By default each process counts alone. */
  readonly sharedBuckets?: SharedBuckets | null
  /** Counts requests to the API, without probes. */
  readonly countRequest?: RequestCounter
}

/** The application as Express, and the shorter way for cached reads. */
export interface App extends Express {
  readonly answerCached: AnswerCached
}

/** Creates the HTTP application. It opens no connection and no port, so tests may create many. */
export function createApp(options: AppOptions): App {
  const { config, db, writeDb = db, storage = noStorage, logger, isReady, countRequest } = options
  const reader = createRequestReader(options.reader)
  const { corsOrigins, rateLimit } = config
  const client = createClient(config.trustProxy)
  const securityLog = createSecurityLog(logger, client)
  const sessions = createSessions(config.sessionSecrets, { idleS: config.sessionIdleS })
  const userAccess = createUserAccess(config.sessionSecrets)
  const userByEmail = createUserByEmail(config.sessionSecrets)
  const compressResponse = createCompressResponse(config.compression)
  const sendTagged = createSendTagged(config.compression)
  const deps: AppDeps = {
    reader,
    db: writeDb,
    logger,
    sendAnswer: createSendAnswer({ sendTagged, edgeMaxAgeS: config.edgeMaxAgeS }),
    compressResponse,
    ...createSendReads({ compressResponse, sendTagged }),
    expensive: createExpensiveReads(config.expensiveReads),
    readForm: createReadForm(config.uploadLimitBytes),
    beginFileChanges: createFileChanges({ storage, db: writeDb, logger }),
    ...createAuthentication({
      reader,
      sessions,
      userAccess,
      client,
      readBearerToken:
        config.bearer &&
        createBearer(config.bearer, {
          reader: options.reader,
          userByEmail,
          keyId: sessions.currentKeyId,
          logger,
        }),
    }),
  }

  const app = express()
  app.disable('x-powered-by')
  app.set('case sensitive routing', true)

  const commonMiddleware = createCommonMiddleware({
    client,
    logger,
    securityLog,
    corsOrigins,
    rateLimit,
  })
  const middleware: Middleware = (req, res, next) => {
    // Before the rate limit, so that rejected requests are counted.
    countRequest?.(req, res)
    commonMiddleware(req, res, next)
  }
  const consistency = createConsistency({
    consistencyTokens: createConsistencyTokens(config.sessionSecrets, {
      lifetimeMs: config.tokenLifetimeMs,
    }),
    lifetimeMs: config.tokenLifetimeMs,
    client,
    findMoment: () => findMoment(db),
  })
  const v1 = Router({ strict: true, caseSensitive: true })
  const v1Middleware: Middleware = (req, res, next) =>
    middleware(req, res, () => consistency(req, res, next))
  v1.use(v1Middleware, readJson(config.bodyLimitBytes))
  const iterations = config.passwordIterations
  const attempts = createPasswordAttempts({ iterations, shared: options.sharedBuckets ?? null })
  const health = healthEndpoints({ db, isReady })
  const endpoints = createEndpoints({
    ...deps,
    client,
    sessions,
    attempts,
    iterations,
    timeZone: config.timeZone,
  })
  const files = fileEndpoints({ ...deps, storage, edgeMaxAgeS: config.edgeMaxAgeS })
  const docs = docsEndpoints(
    () => describeEndpoints({ '': health, [FILES]: files, [BASE]: all }),
    compressResponse,
  )
  const all = config.docsEnabled ? [...endpoints, ...docs] : endpoints
  v1.use(createEndpointRouter(all, deps, { rejectsOtherMethods: true }))
  v1.use(unknownRoute)

  app.use(BASE, v1)
  app.use(FILES, v1Middleware, createEndpointRouter(files, deps, { rejectsOtherMethods: true }))
  // No rate limit: if a flood failed the probes, the orchestrator would restart the process.
  app.use(createEndpointRouter(health, deps, { rejectsOtherMethods: false }))
  app.use(middleware, unknownRoute)
  const onError = errorHandler(logger, securityLog)
  app.use(onError)
  const cachedReads = { base: BASE, middleware: v1Middleware, onError }
  return Object.assign(app, { answerCached: createCachedReads(all, deps, cachedReads) })
}

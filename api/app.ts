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
import { createAuthentication } from './http/authenticate.ts'
import { readJson } from './http/body.ts'
import { createClient } from './http/client.ts'
import { createConsistency } from './http/consistency.ts'
import { createConsistencyTokens } from './http/consistency-token.ts'
import { createExpensiveReads } from './http/expensive-reads.ts'
import { createCommonMiddleware, type Middleware } from './http/common-middleware.ts'
import { createEndpointRouter } from './endpoints/router.ts'
import { createRequestReader } from './http/request-reader.ts'
import { errorHandler, unknownRoute } from './http/problem.ts'
import { createSecurityLog } from './http/security-log.ts'
import type { RequestCounter } from './metrics.ts'
import { describeRoutes } from './openapi/document.ts'
import { adminTaskRoutes } from './routes/admin-tasks.ts'
import { affiliationEndpoints } from './routes/affiliations.ts'
import { agencyEndpoints } from './routes/agencies.ts'
import { businessAreaEndpoints } from './routes/business-areas.ts'
import { caretakerReadRoutes } from './routes/caretaker-reads.ts'
import { caretakerRoutes } from './routes/caretakers.ts'
import { departmentalServiceEndpoints } from './routes/departmental-services.ts'
import { divisionEndpoints } from './routes/divisions.ts'
import { docsRoutes } from './routes/docs.ts'
import { documentRoutes } from './routes/documents.ts'
import { healthRoutes } from './routes/health.ts'
import { locationRoutes } from './routes/locations.ts'
import { profileEntryRoutes } from './routes/profile-entries.ts'
import { projectMemberRoutes } from './routes/project-members.ts'
import { projectPartRoutes } from './routes/project-parts.ts'
import { projectReadRoutes } from './routes/project-reads.ts'
import { projectSearchRoutes } from './routes/project-search.ts'
import { projectRoutes } from './routes/projects.ts'
import { sessionRoutes } from './routes/session.ts'
import { staffProfileRoutes } from './routes/staff-profiles.ts'
import { userDetailRoutes } from './routes/user-details.ts'
import { userExistsRoutes } from './routes/user-exists.ts'
import { userSearchRoutes } from './routes/user-search.ts'
import { userRoutes } from './routes/users.ts'
import { createBearer } from './session/bearer.ts'
import { createPasswordAttempts } from './session/password-attempts.ts'
import { createSessions } from './session/session.ts'
import type { Reader } from '../shared/resources/cache.ts'

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
  readonly logger: Logger
  /** Whether the process has started and is not draining. */
  readonly isReady: () => boolean
  /** Limits of log-in attempts that all API processes share. By default each process counts alone. */
  readonly sharedBuckets?: SharedBuckets | null
  /** Counts requests to the API, without probes. */
  readonly countRequest?: RequestCounter
}

/** Creates the HTTP application. It opens no connection and no port, so tests may create many. */
export function createApp(options: AppOptions): Express {
  const { config, db, writeDb = db, logger, isReady, countRequest } = options
  const reader = createRequestReader(options.reader)
  const { corsOrigins, rateLimit } = config
  const client = createClient(config.trustProxy)
  const securityLog = createSecurityLog(logger, client)
  const sessions = createSessions(config.sessionSecrets, { idleS: config.sessionIdleS })
  const userAccess = createUserAccess(config.sessionSecrets)
  const userByEmail = createUserByEmail(config.sessionSecrets)
  const deps: AppDeps = {
    reader,
    db: writeDb,
    logger,
    sendAnswer: createSendAnswer(config),
    expensive: createExpensiveReads(config.expensiveReads),
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

  const health = healthRoutes({ db, isReady })
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
  v1.use(
    (req, res, next) => middleware(req, res, () => consistency(req, res, next)),
    readJson(config.bodyLimitBytes),
  )
  // The busiest routes come first: a request is matched against every route before its own.
  v1.use(staffProfileRoutes(deps))
  const iterations = config.passwordIterations
  const attempts = createPasswordAttempts({ iterations, shared: options.sharedBuckets ?? null })
  v1.use(sessionRoutes({ ...deps, client, sessions, attempts, iterations }))
  v1.use(caretakerReadRoutes(deps), documentRoutes(deps), projectSearchRoutes(deps))
  v1.use(userExistsRoutes(deps), userSearchRoutes(deps))
  v1.use(projectPartRoutes(deps), adminTaskRoutes(deps), caretakerRoutes(deps))
  v1.use(
    createEndpointRouter(
      [
        ...affiliationEndpoints,
        ...businessAreaEndpoints,
        ...departmentalServiceEndpoints,
        ...divisionEndpoints,
        ...agencyEndpoints,
      ],
      deps,
      { rejectsOtherMethods: true },
    ),
  )
  v1.use(locationRoutes(deps))
  v1.use(userDetailRoutes(deps), profileEntryRoutes(deps))
  v1.use(projectReadRoutes(deps), projectMemberRoutes(deps), projectRoutes(deps))
  if (config.docsEnabled) {
    v1.use(docsRoutes({ describe: () => describeRoutes({ '': health, '/api/v1': v1 }) }))
  }
  // After all other routes below `users/`: `/users/:id` matches any word.
  v1.use(userRoutes({ ...deps, client, attempts }))
  v1.use(unknownRoute)

  app.use('/api/v1', v1)
  // No rate limit: if a flood failed the probes, the orchestrator would restart the process.
  app.use(health)
  app.use(middleware, unknownRoute)
  app.use(errorHandler(logger, securityLog))
  return app
}

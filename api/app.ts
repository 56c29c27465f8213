import express, { type Express, type RequestHandler } from 'express'
import type { Kysely } from 'kysely'
import type { Logger } from 'winston'
import type { Database } from '../db/schema.ts'
import type { Reader } from '../shared/cache/reader.ts'
import { PublicError } from '../shared/errors.ts'
import { createUserAccess } from '../shared/resources/user-access.ts'
import type { HttpConfig } from './config.ts'
import type { AppDeps } from './deps.ts'
import { createSendAnswer } from './http/answer.ts'
import { createAuthentication } from './http/authenticate.ts'
import { createClient } from './http/client.ts'
import { createFront } from './http/front.ts'
import { errorHandler, unknownRoute } from './http/problem.ts'
import { agencyRoutes } from './routes/agencies.ts'
import { healthRoutes } from './routes/health.ts'
import { profileEntryRoutes } from './routes/profile-entries.ts'
import { projectMemberRoutes } from './routes/project-members.ts'
import { projectReadRoutes } from './routes/project-reads.ts'
import { projectRoutes } from './routes/projects.ts'
import { sessionRoutes } from './routes/session.ts'
import { staffProfileRoutes } from './routes/staff-profiles.ts'
import { createBearer } from './session/bearer.ts'
import { createSessions } from './session/session.ts'

export interface AppOptions {
  readonly config: HttpConfig
  readonly reader: Reader
  readonly db: Kysely<Database>
  readonly logger: Logger
  /** Started and not draining. */
  readonly isReady: () => boolean
}

/** The HTTP application. It opens nothing and listens to nothing, so tests may have many. */
export function createApp({ config, reader, db, logger, isReady }: AppOptions): Express {
  const client = createClient(config.trustProxy)
  const sessions = createSessions(config.sessionSecrets)
  const userAccess = createUserAccess(config.sessionSecrets)
  const deps: AppDeps = {
    reader,
    db,
    logger,
    sendAnswer: createSendAnswer(config),
    ...createAuthentication({
      reader,
      sessions,
      userAccess,
      readBearerToken: config.bearer && createBearer(config.bearer, { reader, logger }),
    }),
  }

  const app = express()
  app.disable('x-powered-by')
  app.set('case sensitive routing', true)

  // Before the limit: a flood must not fail the probes, and so get the process restarted.
  app.use(healthRoutes({ db, isReady }))
  app.use(createFront({ client, logger, rateLimit: config.rateLimit }))
  app.use('/api/v1', requireJson, express.json({ limit: config.bodyLimitBytes }))
  app.use('/api/v1', sessionRoutes({ ...deps, client, sessions }))
  app.use('/api/v1', staffProfileRoutes(deps), profileEntryRoutes(deps), agencyRoutes(deps))
  app.use('/api/v1', projectReadRoutes(deps), projectMemberRoutes(deps), projectRoutes(deps))
  app.use(unknownRoute)
  app.use(errorHandler(logger))
  return app
}

/** No other kind of body is read: a form on another site can send none of this kind. */
const requireJson: RequestHandler = (req, _res, next) => {
  // Express answers null where there is no body, but takes one of no length for a body.
  if (req.headers['content-length'] !== '0' && req.is('application/json') === false) {
    throw new PublicError(
      'unsupported_media_type',
      `Unsupported media type "${req.headers['content-type'] ?? ''}" in request.`,
    )
  }
  next()
}

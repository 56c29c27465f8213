import { z } from 'zod'
import { databaseUrl, notRead, parseConfig, port, redisUrl } from '../../shared/config.ts'
import { ConfigurationError } from '../../shared/errors.ts'
import { findFreePort, listenError } from '../servers/port.ts'

const startConfig = z
  .object({
    HOST: z.string().default('127.0.0.1'),
    PORT: port.min(1).default(8000),
    API_METRICS_PORT: port.min(1).optional(),
    INVALIDATOR_METRICS_PORT: port.min(1).optional(),
    CACHE_ENABLED: z.stringbool().default(true),
    DATABASE_URL: databaseUrl.optional(),
    REDIS_URL: redisUrl.optional(),
    PGSSLMODE: notRead('sslmode=... in DATABASE_URL'),
  })
  .refine((env) => !env.DATABASE_URL || env.REDIS_URL || !env.CACHE_ENABLED, {
    path: ['REDIS_URL'],
    error: 'is required with DATABASE_URL, unless CACHE_ENABLED=false',
  })

/** Settings of `npm start` itself. */
export interface StartConfig {
  readonly port: number
  readonly apiMetricsPort: number
  readonly invalidatorMetricsPort: number
  readonly databaseUrl: string | undefined
  readonly redisUrl: string | undefined
  readonly cacheEnabled: boolean
}

/**
 * Reads the settings from the environment.
 * @throws ConfigurationError if a value is invalid or a port is taken.
 */
export async function readStartConfig(environment: NodeJS.ProcessEnv): Promise<StartConfig> {
  const env = parseConfig(startConfig, environment)
  for (const name of ['PORT', 'API_METRICS_PORT', 'INVALIDATOR_METRICS_PORT'] as const) {
    const reason = env[name] && (await listenError(env.HOST, env[name]))
    if (reason === 'EADDRINUSE') {
      throw new ConfigurationError(
        `port ${env[name]} is taken: stop the process that listens on it, or choose another port with ${name}=...`,
      )
    }
    if (reason)
      throw new ConfigurationError(
        `cannot listen on ${name} ${env[name]}: ${reason}; choose another port with ${name}=...`,
      )
  }
  return {
    port: env.PORT,
    apiMetricsPort: env.API_METRICS_PORT ?? (await findFreePort()),
    invalidatorMetricsPort: env.INVALIDATOR_METRICS_PORT ?? (await findFreePort()),
    databaseUrl: env.DATABASE_URL,
    redisUrl: env.REDIS_URL,
    cacheEnabled: env.CACHE_ENABLED,
  }
}

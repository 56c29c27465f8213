import { z } from 'zod'
import { commonSettings, logConfig, port, positiveNumber, redisUrl } from '../shared/config.ts'

/** The invalidator's environment. */
export const invalidatorConfig = z
  .object({
    ...commonSettings.shape,
    REDIS_URL: redisUrl,
    METRICS_PORT: port.default(9465),
    HEARTBEAT_MS: positiveNumber.max(2_000).default(500),
  })
  .transform((env) => ({
    host: env.HOST,
    metricsPort: env.METRICS_PORT,
    log: logConfig(env),
    database: { url: env.DATABASE_URL },
    redisUrl: env.REDIS_URL,
    prefix: env.CACHE_PREFIX,
    /** How long to sleep at most: an idle invalidator still says how fresh the cache is. */
    heartbeatMs: env.HEARTBEAT_MS,
  }))

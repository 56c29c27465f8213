import { z } from 'zod'
import { commonSettings, logConfig, port, positiveNumber, redisSetting } from '../shared/config.ts'

/** Settings of the invalidator. */
export const invalidatorSettings = z.object({
  ...commonSettings.shape,
  REDIS_URL: redisSetting,
  METRICS_PORT: port
    .default(9465)
    .describe(
      'Port of `/metrics`, and of the [console](console.md) in the invalidator. It must not be public.',
    ),
  CONSOLE_ENABLED: z
    .stringbool()
    .default(true)
    .describe(
      'Whether the port serves the console and `/events`. The processes then report their counters in Redis.',
    ),
  CONSOLE_TOKEN: z
    .string()
    .min(16, 'at least 16 characters')
    .optional()
    .describe('Permits a flush in the console. Without it the console is read-only.'),
  HEARTBEAT_MS: positiveNumber
    .max(2_000)
    .default(500)
    .describe('Longest time between two polls of an idle invalidator, in ms.'),
})

/** The invalidator's environment. */
export const invalidatorConfig = invalidatorSettings.transform((env) => ({
  host: env.HOST,
  metricsPort: env.METRICS_PORT,
  consoleToken: env.CONSOLE_TOKEN,
  consoleEnabled: env.CONSOLE_ENABLED,
  log: logConfig(env),
  database: { url: env.DATABASE_URL },
  redisUrl: env.REDIS_URL,
  prefix: env.CACHE_PREFIX,
  /** Longest sleep: an idle invalidator must still publish how fresh the cache is. */
  heartbeatMs: env.HEARTBEAT_MS,
}))

import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import {
  databaseUrl,
  type Environment,
  notRead,
  parseConfig,
  redisUrl,
} from '../../shared/config.ts'
import { ConfigurationError } from '../../shared/errors.ts'
import { readState, secretPath } from './state.ts'

/** The servers that a command works on. */
export interface Discovered {
  readonly databaseUrl: string
  readonly redisUrl: string | undefined
  /** What its sessions are signed with; none where that is not known. */
  readonly sessionSecrets: readonly string[]
}

const urls = z.object({
  DATABASE_URL: databaseUrl.optional(),
  REDIS_URL: redisUrl.optional(),
  PGSSLMODE: notRead('sslmode=... in DATABASE_URL'),
})

/**
 * Finds them in the environment, else those of the `npm start` that runs here.
 * @throws ConfigurationError when there is neither, or a URL is not supported.
 */
export async function discover(stateDir: string, env: Environment): Promise<Discovered> {
  const given = (env.SESSION_SECRETS ?? '').split(',').filter(Boolean)
  parseConfig(urls, env)
  if (env.DATABASE_URL) {
    return { databaseUrl: env.DATABASE_URL, redisUrl: env.REDIS_URL, sessionSecrets: given }
  }
  const state = await readState(stateDir)
  if (!state?.running || state.databaseUrl === undefined) {
    throw new ConfigurationError('DATABASE_URL is not set, and no `npm start` is running here')
  }
  return {
    databaseUrl: state.databaseUrl,
    redisUrl: env.REDIS_URL || state.redisUrl,
    sessionSecrets: given.length > 0 ? given : await keptSecrets(stateDir),
  }
}

/** Few commands need one: what cannot be read is as good as none. */
const keptSecrets = (stateDir: string): Promise<string[]> =>
  readFile(secretPath(stateDir), 'utf8').then(
    (secret) => [secret],
    () => [],
  )

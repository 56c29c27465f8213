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
  /** Secrets that sign its sessions; empty if they are unknown. */
  readonly sessionSecrets: readonly string[]
}

const urls = z.object({
  DATABASE_URL: databaseUrl.optional(),
  REDIS_URL: redisUrl.optional(),
  PGSSLMODE: notRead('sslmode=... in DATABASE_URL'),
})

/**
 * Returns the servers that the environment names, or those of the `npm start` in this folder.
 * @throws ConfigurationError if there are none, or if a URL is not supported.
 */
export async function discover(stateDir: string, env: Environment): Promise<Discovered> {
  const configured = (env.SESSION_SECRETS ?? '').split(',').filter(Boolean)
  parseConfig(urls, env)
  if (env.DATABASE_URL) {
    return { databaseUrl: env.DATABASE_URL, redisUrl: env.REDIS_URL, sessionSecrets: configured }
  }
  const state = await readState(stateDir)
  if (!state?.running || state.databaseUrl === undefined) {
    throw new ConfigurationError(
      'DATABASE_URL is not set, and no `npm start` runs in this folder: set it, or run npm start',
    )
  }
  return {
    databaseUrl: state.databaseUrl,
    redisUrl: env.REDIS_URL || state.redisUrl,
    sessionSecrets: configured.length > 0 ? configured : await readSecrets(stateDir),
  }
}

/** Ignores a file that cannot be read, because few commands need the secret. */
const readSecrets = (stateDir: string): Promise<string[]> =>
  readFile(secretPath(stateDir), 'utf8').then(
    (secret) => [secret],
    () => [],
  )

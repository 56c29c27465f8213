import { ConfigurationError } from '../../shared/errors.ts'
import { readState } from './state.ts'

/** The servers that a command works on. */
export interface Discovered {
  readonly databaseUrl: string
  readonly redisUrl: string | undefined
}

/**
 * Finds them in the environment, else those of the `npm start` that runs here.
 * @throws ConfigurationError when there is neither.
 */
export async function discover(stateDir: string, env: NodeJS.ProcessEnv): Promise<Discovered> {
  if (env.DATABASE_URL) return { databaseUrl: env.DATABASE_URL, redisUrl: env.REDIS_URL }
  const state = await readState(stateDir)
  if (!state?.running || state.databaseUrl === undefined) {
    throw new ConfigurationError('DATABASE_URL is not set, and no `npm start` is running here')
  }
  return { databaseUrl: state.databaseUrl, redisUrl: env.REDIS_URL || state.redisUrl }
}

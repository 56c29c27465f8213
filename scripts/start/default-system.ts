import { INSTALLER } from '../installer.ts'
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import { install, errorCode } from '../../db/event-log/index.ts'
import { migrate } from '../../db/migrate.ts'
import { compileRules } from '../../shared/cache/index.ts'
import { ConfigurationError } from '../../shared/errors.ts'
import { catalog } from '../../shared/resources/index.ts'
import { type SeedSummary, seed } from '../seed/seed.ts'
import { startPostgres } from '../servers/postgres.ts'
import { startRedis } from '../servers/redis.ts'
import type { Print } from '../servers/print.ts'
import {
  describeServer,
  endLeftovers,
  readState,
  removeState,
  secretPath,
  type State,
  writeState,
} from '../servers/state.ts'

/** The servers and the data that `npm start` uses by default. */
export interface DefaultSystem {
  readonly databaseUrl: string
  readonly redisUrl: string
  /** Directory of uploaded files. */
  readonly mediaRoot: string
  readonly sessionSecrets: string
  readonly seeded: SeedSummary
}

export interface DefaultSystemOptions {
  readonly stateDir: string
  readonly env: NodeJS.ProcessEnv
  readonly print: Print
  /** Receives the stop function of each server as soon as the server runs. */
  readonly onStop: (stop: () => Promise<unknown>) => void
}

/**
 * Starts Postgres and Redis, and creates tables, triggers and example data if they are missing.
 * @throws ConfigurationError if another `npm start` runs in this folder.
 */
export async function startDefaultSystem(options: DefaultSystemOptions): Promise<DefaultSystem> {
  const { stateDir, env, print, onStop } = options
  await mkdir(stateDir, { recursive: true })
  const previous = await readState(stateDir)
  if (previous?.running) {
    throw new ConfigurationError(
      `npm start is already running in this folder (process ${previous.starterPid}): stop it first`,
    )
  }
  await endLeftovers(stateDir)
  let state: State = { starterPid: process.pid, servers: [] }
  const updateState = async (more: Partial<State>) => {
    state = { ...state, ...more, servers: [...state.servers, ...(more.servers ?? [])] }
    await writeState(stateDir, state)
  }
  await updateState({})
  onStop(() => removeState(stateDir))

  const postgres = await startPostgres({ stateDir, name: 'postgres', durable: true, print })
  onStop(() => postgres.stop())
  const databaseUrl = postgres.urlOf('spms')
  await updateState({ servers: [describeServer(postgres)] })

  const redisUrl = env.REDIS_URL || (await startOwnRedis())
  await createDatabase(postgres.urlOf('postgres'), 'spms')
  const applied = await migrate(databaseUrl)
  if (applied.length > 0) print(`migrated: ${applied.join(', ')}`)
  const { version, changed } = await install(databaseUrl, compileRules(catalog), INSTALLER)
  if (changed.length > 0) print(`installed the triggers of rules version ${version}`)
  const mediaRoot = env.MEDIA_ROOT || join(stateDir, 'media')
  const seeded = await seed(databaseUrl, { mediaRoot })
  if (!seeded.alreadyThere) print(`seeded ${seeded.users} users and their data`)
  // Other commands find the servers only after their data is complete.
  await updateState({ databaseUrl, redisUrl })
  const sessionSecrets = await readOrCreateSecret(stateDir)
  return { databaseUrl, redisUrl, mediaRoot, seeded, sessionSecrets }

  async function startOwnRedis(): Promise<string> {
    const redis = await startRedis({ stateDir, env, print })
    onStop(() => redis.stop())
    await updateState({ servers: [describeServer(redis)] })
    return redis.url
  }
}

async function createDatabase(url: string, name: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(`create database ${name}`)
  } catch (error) {
    if (errorCode(error) !== DUPLICATE_DATABASE) throw error
  } finally {
    await client.end()
  }
}

const DUPLICATE_DATABASE = '42P04'

/** Returns the secret that signs sessions. It is kept in a file, so that sessions survive a restart. */
async function readOrCreateSecret(stateDir: string): Promise<string> {
  const path = secretPath(stateDir)
  const fresh = randomBytes(32).toString('hex')
  await writeFile(path, fresh, { mode: 0o600, flag: 'wx' }).catch(() => {})
  return readFile(path, 'utf8')
}

import type { Kysely } from 'kysely'
import { createServer } from 'node:http'
import type { Database } from '../db/schema.ts'
import { findSessionRevocations } from '../db/queries/session-revocations.ts'
import {
  createCacheMetrics,
  createLoader,
  createUncachedReader,
  entryKey,
} from '../shared/cache/index.ts'
import { createLogger } from '../shared/logger.ts'
import { createAppInstruments, createRegistry } from '../shared/metrics.ts'
import type { Reader } from '../shared/resources/cache.ts'
import { closeServer, listen } from '../shared/server.ts'
import { createApp } from './app.ts'
import type { HttpConfig } from './config.ts'
import { createSessions } from './session/session.ts'

/** A cached entry that a response is built from. */
export interface EntryOfUrl {
  readonly resource: string
  readonly key: string
  readonly variant: string
}

export interface EntriesOfUrl {
  /** Status of the response. */
  readonly status: number
  readonly entries: readonly EntryOfUrl[]
}

export interface EntriesOfUrlDeps {
  /** Connections to the primary. */
  readonly db: Kysely<Database>
  readonly config: HttpConfig
  readonly prefix: string
}

export class NoSuchUser extends Error {
  override readonly name = 'NoSuchUser'
}

/**
 * Sends the request to an API in this process and records its reads, so that no list of routes can be
 * outdated. The responses are discarded.
 * @throws NoSuchUser if the user does not exist.
 */
export async function findEntriesOfUrl(
  { db, config, prefix }: EntriesOfUrlDeps,
  url: string,
  userId: string | undefined,
): Promise<EntriesOfUrl> {
  if (userId !== undefined && !/^\d+$/.test(userId)) {
    throw new NoSuchUser(`expected the id of a user, got ${userId}`)
  }
  const entries: EntryOfUrl[] = []
  const uncached = createUncachedReader({
    loader: createLoader(db, { concurrency: 2, queue: 100 }),
    metrics: createCacheMetrics(createAppInstruments(createRegistry())),
  })
  const recordingReader: Reader = {
    ...uncached,
    read(resource, params, variant) {
      entries.push({ resource: resource.name, key: entryKey(prefix, resource, params), variant })
      return uncached.read(resource, params, variant)
    },
  }
  const logger = createLogger('explain')
  // Suppresses the security log of this internal request.
  logger.level = 'warn'
  const app = createApp({ config, reader: recordingReader, db, logger, isReady: () => true })
  const server = createServer(app)
  try {
    const port = await listen(server, { host: '127.0.0.1', port: 0, setting: 'PORT' })
    const headers: Record<string, string> =
      userId === undefined ? {} : { Cookie: await sessionOf({ db, config }, userId) }
    const { pathname, search } = new URL(url, 'http://localhost/api/v1/')
    const response = await fetch(`http://127.0.0.1:${port}${pathname}${search}`, { headers })
    await response.arrayBuffer()
    return { status: response.status, entries }
  } finally {
    await closeServer(server)
  }
}

async function sessionOf(
  { db, config }: Pick<EntriesOfUrlDeps, 'db' | 'config'>,
  userId: string,
): Promise<string> {
  const { password, epoch } = await db.transaction().execute(async (trx) => {
    const user = await trx
      .selectFrom('users_user')
      .select('password')
      .where('id', '=', userId)
      .executeTakeFirstOrThrow(() => new NoSuchUser(`user ${userId} does not exist`))
    return { ...user, ...(await findSessionRevocations(trx, userId)) }
  })
  return `spms_session=${await createSessions(config.sessionSecrets).issue(userId, password, epoch)}`
}

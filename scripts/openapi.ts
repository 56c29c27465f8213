import { createServer } from 'node:http'
import { createApp } from '../api/app.ts'
import { apiConfig } from '../api/config.ts'
import { openDatabase } from '../db/database.ts'
import { createCacheMetrics, createLoader, createUncachedReader } from '../shared/cache/index.ts'
import { parseConfig } from '../shared/config.ts'
import { createLogger } from '../shared/logger.ts'
import { createAppInstruments, createRegistry } from '../shared/metrics.ts'
import { listen } from '../shared/server.ts'

const DATABASE_URL = 'postgres://127.0.0.1/none'

/** Returns the OpenAPI document as clients receive it. Needs neither Postgres nor Redis. */
export async function readOpenApiDocument(): Promise<string> {
  const { http } = parseConfig(apiConfig([]), {
    DATABASE_URL,
    CACHE_ENABLED: 'false',
    SESSION_SECRETS: 'a secret that signs nothing at all',
  })
  // The pool connects at its first query, and this script runs no query.
  const db = openDatabase({ url: DATABASE_URL, poolSize: 1, applicationName: 'spms-openapi' })
  const reader = createUncachedReader({
    loader: createLoader(db, { concurrency: 1, queue: 0 }),
    metrics: createCacheMetrics(createAppInstruments(createRegistry())),
  })
  const app = createApp({
    config: http,
    reader,
    db,
    logger: createLogger('openapi'),
    isReady: () => true,
  })
  const server = createServer(app)
  try {
    const port = await listen(server, { host: '127.0.0.1', port: 0, setting: 'PORT' })
    return await (await fetch(`http://127.0.0.1:${port}/api/v1/openapi.json`)).text()
  } finally {
    server.closeAllConnections()
    server.close()
    await db.destroy()
  }
}

import { createServer, type Server } from 'node:http'
import { expect } from 'chai'
import type { Express, RequestHandler } from 'express'
import { createApp } from '../../api/app.ts'
import { isSafe } from '../../api/http/safe-method.ts'
import { openDatabase } from '../../db/database.ts'
import { createLogger } from '../../shared/logger.ts'
import { portOf } from '../../shared/server.ts'
import { beginIncarnation } from '../../db/event-log/index.ts'
import { createTestDatabase } from '../support/database.ts'
import { createUncachedReader } from '../support/uncached-reader.ts'
import { httpConfig } from './test-api.ts'

interface Layer {
  readonly route?: Route
  readonly handle: { readonly stack?: readonly Layer[] }
}

interface Route {
  readonly path: string
  stack: { readonly method?: string; handle: RequestHandler }[]
}

const routesOf = (layers: readonly Layer[]): Route[] =>
  layers.flatMap(({ route, handle }) => (route ? [route] : routesOf(handle.stack ?? [])))

/** Replaces the handler of every write route by one that succeeds, and returns the routes. */
function writesOf(app: Express) {
  const done: RequestHandler = (_req, res) => void res.status(200).json({ done: true })
  return routesOf(app.router.stack as unknown as Layer[]).flatMap(({ path, stack }) =>
    stack
      .filter(({ method }) => method !== undefined && !isSafe({ method: method.toUpperCase() }))
      .map((layer) => {
        layer.handle = done
        return { method: (layer.method as string).toUpperCase(), path }
      }),
  )
}

describe('every route that writes', () => {
  const closers: (() => unknown)[] = []
  let writes: ReturnType<typeof writesOf>
  let server: Server

  before(async () => {
    const database = await createTestDatabase({ installed: true })
    closers.push(() => database[Symbol.asyncDispose]())
    const db = openDatabase({ url: database.url, poolSize: 2, applicationName: 'spms-test-tokens' })
    closers.push(() => db.destroy())
    // The copy of a template needs its own incarnation, which an API process begins otherwise.
    await beginIncarnation(db)
    const logger = createLogger('test')
    logger.silent = true
    const reader = createUncachedReader(db)
    const app = createApp({ config: httpConfig, reader, db, logger, isReady: () => true })
    writes = writesOf(app)
    server = createServer(app)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    closers.push(() => server.close())
  })
  after(async () => {
    for (const close of closers.toReversed()) await close()
  })

  it('returns a consistency token with a success', async () => {
    expect(writes.length).to.be.above(10)
    for (const { method, path } of writes) {
      const url = `http://127.0.0.1:${portOf(server)}/api/v1${path.replaceAll(/:\w+/g, '1')}`
      const res = await fetch(url, { method, headers: { Connection: 'close' } })
      expect(res.status, `${method} ${path}`).to.equal(200)
      const token = res.headers.get('consistency-token')
      expect(token, `${method} ${path}`).to.match(/^[\w-]{8}\.\w+\.[\da-f]{32}\.\d+\./)
      expect(res.headers.getSetCookie().join()).to.contain(token)
    }
  })
})

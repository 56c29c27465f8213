import { createServer, get, type IncomingMessage, type Server } from 'node:http'
import { once } from 'node:events'
import { expect } from 'chai'
import type { Change } from '../../invalidator/console/change.ts'
import { type ChangeFeed, createChangeFeed } from '../../invalidator/console/change-feed.ts'
import { createStreams, type Streams } from '../../invalidator/console/streams.ts'
import { closeServer, listen } from '../../shared/server.ts'
import { until } from '../support/until.ts'

const change = (id: number, key = 'a:1'): Change => ({
  id: String(id),
  atMs: 1,
  operation: 'update',
  table: 'a',
  columns: ['b'],
  rows: 1,
  entries: [{ resource: 'r', key }],
  more: 0,
  together: false,
  flushed: [],
  delayMs: 1,
})
const changes = (count: number, key?: string) =>
  Array.from({ length: count }, (_, id) => change(id, key))
/** More than the buffers of both sockets hold. */
const LONG_KEY = 'k'.repeat(4_000)
const ROUNDS = 40

describe('streams of changes', () => {
  let feed: ChangeFeed
  let streams: Streams
  let server: Server
  let port: number

  beforeEach(async () => {
    feed = createChangeFeed()
    streams = createStreams(feed)
    server = createServer((req, res) =>
      streams.open(
        res,
        { table: null, resource: null, key: null },
        Number(new URL(req.url ?? '', 'http://localhost').searchParams.get('history')),
      ),
    )
    port = await listen(server, { host: '127.0.0.1', port: 0, setting: 'PORT' })
  })
  afterEach(async () => {
    streams.close()
    server.closeAllConnections()
    await closeServer(server)
  })

  async function open(history = 0) {
    const request = get({ port, path: `/?history=${history}` })
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    let text = ''
    response.on('error', () => {})
    return {
      request,
      response,
      read() {
        response.on('data', (data: Buffer) => (text += data.toString()))
      },
      count: () => text.split('event: change\n').length - 1,
      skipped: () =>
        [...text.matchAll(/event: skipped\ndata: \{"count":(\d+)\}/g)].reduce(
          (sum, [, count]) => sum + Number(count),
          0,
        ),
      isReady: () => text.includes('event: ready'),
    }
  }

  it('send each change to all clients, and the number of those that were not recorded', async () => {
    const clients = [await open(), await open()]
    for (const client of clients) client.read()
    await until(() => clients.every((client) => client.isReady()))
    feed.add(changes(3), 7)
    await until(() => clients.every((client) => client.count() === 3 && client.skipped() === 7))
    for (const { request } of clients) request.destroy()
    await until(() => feed.subscribers === 0)
  })

  it('begin with at most the last 500 changes', async () => {
    feed.add(changes(2_000), 0)
    const client = await open(10_000)
    client.read()
    await until(() => client.isReady())
    expect(client.count()).to.equal(500)
    client.request.destroy()
  })

  it('skip changes for a client that does not read, and count them, while others receive all', async () => {
    const [slow, fast] = [await open(), await open()]
    fast.read()
    await until(() => fast.isReady())
    let sent = 0
    for (let round = 0; round < ROUNDS; round++) {
      feed.add(changes(100, LONG_KEY), 0)
      sent += 100
      const all = sent
      await until(() => fast.count() === all)
    }
    slow.read()
    feed.add(changes(1), 0)
    await until(() => {
      // A message is written when the buffer has room again.
      if (slow.skipped() === 0) feed.add([], 1)
      return slow.skipped() > 0
    })
    expect(slow.count()).to.be.below(sent)
    expect(fast.skipped()).to.be.below(ROUNDS)
    for (const { request } of [slow, fast]) request.destroy()
  }).timeout(60_000)
})

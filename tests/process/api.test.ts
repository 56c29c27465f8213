import { spawn } from 'node:child_process'
import { createServer as createHttpServer } from 'node:http'
import { connect, createServer, type Server } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { findFreePort } from '../../scripts/servers/port.ts'
import { root } from '../../scripts/paths.ts'
import { listen } from '../../shared/server.ts'
import { compiled } from '../support/compiled.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { plainEnv } from '../support/npm-start.ts'

/** Starts the API as a separate process. */
async function startApi(given: NodeJS.ProcessEnv) {
  const port = await findFreePort()
  const child = spawn(process.execPath, [await compiled('api/main.ts')], {
    cwd: root,
    env: { ...plainEnv(), PORT: `${port}`, METRICS_PORT: '0', LOG_FORMAT: 'text', ...given },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  }
  let hasEnded = false
  const ended = new Promise<number | null>((resolve) =>
    child.once('close', (code) => {
      hasEnded = true
      resolve(code)
    }),
  )
  return {
    ended,
    url: `http://127.0.0.1:${port}`,
    output: () => output,
    async untilLogged(text: string) {
      while (!output.includes(text)) {
        if (hasEnded) throw new Error(`ended without logging '${text}':\n${output}`)
        await sleep(20)
      }
    },
    stop: () => child.kill('SIGTERM'),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

const forwarders: Server[] = []

/** Forwards a port that was closed until now to another address. */
async function forward(port: number, url: string): Promise<void> {
  const { hostname, port: target } = new URL(url)
  const server = createServer((inbound) => {
    const outbound = connect(Number(target), hostname)
    inbound.pipe(outbound).pipe(inbound)
    inbound.on('error', () => outbound.destroy())
    outbound.on('error', () => inbound.destroy())
  })
  forwarders.push(server)
  await listen(server, { host: '127.0.0.1', port, setting: '' })
}

const SESSION_SECRETS = 's'.repeat(32)

describe('API process', function () {
  this.timeout(60_000)
  let database: TestDatabase

  before(async () => {
    database = await createTestDatabase({ seeded: true })
  })
  after(async () => {
    for (const server of forwarders) server.close()
    await database[Symbol.asyncDispose]()
  })

  it('lists every configuration error and exits with 1', async () => {
    await using api = await startApi({ PORT: 'x', TRUST_PROXY: 'true' })
    expect(await api.ended).to.equal(1)
    for (const name of ['DATABASE_URL', 'REDIS_URL', 'SESSION_SECRETS', 'PORT', 'TRUST_PROXY']) {
      expect(api.output()).to.include(`${name}: `)
    }
    expect(api.output()).not.to.include('    at ')
  })

  it('reports a port that is already in use', async () => {
    await using taken = createHttpServer()
    const port = await listen(taken, { host: '127.0.0.1', port: 0, setting: 'PORT' })
    await using api = await startApi({
      DATABASE_URL: database.url,
      CACHE_ENABLED: 'false',
      SESSION_SECRETS,
      PORT: `${port}`,
    })
    expect(await api.ended).to.equal(1)
    expect(api.output()).to.include(`PORT: port ${port} on 127.0.0.1 is taken`)
  })

  it('starts without Redis and Postgres, logs each outage once and connects later', async () => {
    const [redisPort, postgresPort] = [await findFreePort(), await findFreePort()]
    const proxied = new URL(database.url)
    proxied.port = `${postgresPort}`
    await using api = await startApi({
      DATABASE_URL: proxied.href,
      REDIS_URL: `redis://127.0.0.1:${redisPort}`,
      SESSION_SECRETS,
    })
    await api.untilLogged('listening')
    const statusOf = async (path: string) => (await fetch(`${api.url}${path}`)).status
    const cacheStatus = async () =>
      (await fetch(`${api.url}/api/v1/users/staffprofiles`)).headers.get('cache-status')

    expect(await statusOf('/livez')).to.equal(200)
    expect(await statusOf('/readyz')).to.equal(200)
    const health = await fetch(`${api.url}/health/`)
    expect(health.status).to.equal(500)
    expect(await health.json()).to.have.all.keys('status', 'error')
    expect(await statusOf('/api/v1/users/staffprofiles')).to.equal(503)
    await sleep(1_000)
    expect(api.output().match(/database unreachable/g)).to.have.length(1)
    expect(api.output().match(/Redis unreachable/g)).to.have.length(1)

    await forward(postgresPort, database.url)
    await api.untilLogged('database reachable')
    expect(await statusOf('/health/')).to.equal(200)
    expect(await cacheStatus()).to.equal('spms; fwd=bypass; detail=redis')

    await forward(redisPort, process.env.TEST_REDIS_URL ?? '')
    await api.untilLogged('cache in use')
    expect(await cacheStatus()).to.match(/fwd=miss|hit/)

    api.stop()
    expect(await api.ended).to.equal(0)
    expect(api.output()).to.include('stopped')
  })

  it('completes requests in progress on SIGTERM and accepts no new ones', async () => {
    await using api = await startApi({
      DATABASE_URL: database.url,
      CACHE_ENABLED: 'false',
      SESSION_SECRETS,
    })
    await api.untilLogged('listening')
    // An idle keep-alive connection, as from a proxy.
    await (await fetch(`${api.url}/livez`)).text()
    const slow = connect(Number(new URL(api.url).port), '127.0.0.1')
    const body = '{"username":"nobody","password":"x"}'
    slow.write(
      'POST /api/v1/users/log-in HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n' +
        `Content-Length: ${body.length}\r\n\r\n${body.slice(0, 5)}`,
    )
    let answered = ''
    slow.setEncoding('utf8').on('data', (text: string) => (answered += text))
    const closed = new Promise((resolve) => slow.once('close', resolve))
    await sleep(200)

    api.stop()
    await api.untilLogged('stopping')
    await sleep(200)
    expect(await fetch(`${api.url}/livez`).catch(() => 'refused')).to.equal('refused')
    slow.write(body.slice(5))
    expect(await api.ended).to.equal(0)
    await closed
    expect(answered).to.match(/^HTTP\/1\.1 401 /)
  })
})

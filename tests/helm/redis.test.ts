import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { Redis } from 'ioredis'
import type { Deployment } from 'kubernetes-types/apps/v1.d.ts'
import { stateDir } from '../../scripts/paths.ts'
import { findFreePort } from '../../scripts/servers/port.ts'
import { findRedisProgram } from '../../scripts/servers/redis-program.ts'
import { type Manifest, RELEASE, renderChart } from './chart.ts'
import { environmentOf } from './pod-process.ts'

const PASSWORD = 'a1b2c3d4'
const SECRETS = {
  spms: {
    API_DATABASE_URL: 'postgres://db/spms',
    INVALIDATOR_DATABASE_URL: 'postgres://db/spms',
    SESSION_SECRETS: 's'.repeat(32),
    REDIS_PASSWORD: PASSWORD,
  },
}

describe('Redis of the chart', function () {
  this.timeout(60_000)
  let manifests: readonly Manifest[]
  let server: ChildProcess
  let folder = ''
  let port = 0

  const containerOf = (component: string) => {
    const found = manifests.find(
      ({ kind, metadata }) => kind === 'Deployment' && metadata.name === `${RELEASE}-${component}`,
    ) as (Manifest & Deployment) | undefined
    return found?.spec?.template.spec?.containers[0] ?? expect.fail(`no container ${component}`)
  }

  before(async () => {
    manifests = await renderChart()
    folder = await mkdtemp(join(tmpdir(), 'spms-chart-redis-'))
    port = await findFreePort()
    const program = await findRedisProgram(stateDir, process.env, () => {})
    if (program.image !== undefined) throw new Error('this needs a Redis server outside Docker')
    const container = containerOf('redis')
    expect(container.command).to.deep.equal(['redis-server'])
    const own = environmentOf(container, { manifests, secrets: SECRETS })
    // Same arguments as in the container, except for the folder and the port.
    const words = (container.args ?? []).map((word) =>
      word === '/data' ? folder : word.replace('$(REDIS_PASSWORD)', own['REDIS_PASSWORD'] ?? ''),
    )
    const here = ['--port', `${port}`, '--bind', '127.0.0.1']
    const env = { ...process.env, ...program.env, ...own }
    server = spawn(program.command, [...words, ...here], { env, stdio: 'ignore' })
  })
  after(async () => {
    if (server.exitCode === null && server.kill('SIGKILL')) await once(server, 'exit')
    await rm(folder, { recursive: true, force: true })
  })

  /**
   * Sends a command, waiting for the server to listen, and returns the reply or the error
   * message.
   */
  async function send(url: string, ...words: [string, ...string[]]): Promise<string> {
    const client = new Redis(url, { retryStrategy: () => 20, maxRetriesPerRequest: null })
    client.on('error', () => {})
    try {
      return await client.call(...words).then(String, ({ message }: Error) => message)
    } finally {
      client.disconnect()
    }
  }

  for (const component of ['api', 'invalidator']) {
    it(`admits the ${component} with the password of the Secret, and rejects clients without it`, async () => {
      const { REDIS_URL = '' } = environmentOf(containerOf(component), {
        manifests,
        secrets: SECRETS,
      })
      expect(REDIS_URL).to.equal(`redis://:${PASSWORD}@${RELEASE}-redis:6379`)
      const here = REDIS_URL.replace(`${RELEASE}-redis:6379`, `127.0.0.1:${port}`)
      expect(await send(here, 'PING')).to.equal('PONG')
      expect(await send(`redis://127.0.0.1:${port}`, 'PING')).to.match(/^NOAUTH/)
    })
  }

  it('has the memory and persistence settings of the chart', async () => {
    const url = `redis://:${PASSWORD}@127.0.0.1:${port}`
    expect(await send(url, 'CONFIG', 'GET', 'maxmemory-policy')).to.include('volatile-lru')
    expect(await send(url, 'CONFIG', 'GET', 'maxmemory')).to.include(String(2 ** 30))
    expect(await send(url, 'CONFIG', 'GET', 'save')).to.equal('save,')
  })

  it('has a network policy by default, like all pods of the release', () => {
    const policies = manifests.filter(({ kind }) => kind === 'NetworkPolicy')
    expect(policies.map(({ metadata }) => metadata.name)).to.include.members(
      ['api', 'invalidator', 'redis', 'test', 'install'].map((name) => `${RELEASE}-${name}`),
    )
  })
})

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

describe('the Redis of the chart', function () {
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
    // As the container runs it, but for the folder and the port of this machine.
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

  /** What one command is answered with, once the server listens. */
  async function ask(url: string, ...words: [string, ...string[]]): Promise<string> {
    const client = new Redis(url, { retryStrategy: () => 20, maxRetriesPerRequest: null })
    client.on('error', () => {})
    try {
      return await client.call(...words).then(String, ({ message }: Error) => message)
    } finally {
      client.disconnect()
    }
  }

  for (const component of ['api', 'invalidator']) {
    it(`admits the ${component} by a password from the Secret, and rejects clients without it`, async () => {
      const { REDIS_URL = '' } = environmentOf(containerOf(component), {
        manifests,
        secrets: SECRETS,
      })
      expect(REDIS_URL).to.equal(`redis://:${PASSWORD}@${RELEASE}-redis:6379`)
      const here = REDIS_URL.replace(`${RELEASE}-redis:6379`, `127.0.0.1:${port}`)
      expect(await ask(here, 'PING')).to.equal('PONG')
      expect(await ask(`redis://127.0.0.1:${port}`, 'PING')).to.match(/^NOAUTH/)
    })
  }

  it('has the settings of the chart', async () => {
    const url = `redis://:${PASSWORD}@127.0.0.1:${port}`
    expect(await ask(url, 'CONFIG', 'GET', 'maxmemory-policy')).to.include('volatile-lru')
    expect(await ask(url, 'CONFIG', 'GET', 'maxmemory')).to.include(String(2 ** 30))
    expect(await ask(url, 'CONFIG', 'GET', 'save')).to.equal('save,')
  })

  it('is reached by pods of the release alone, by default', () => {
    const policies = manifests.filter(({ kind }) => kind === 'NetworkPolicy')
    expect(policies.map(({ metadata }) => metadata.name)).to.include.members(
      ['api', 'invalidator', 'redis', 'test', 'install'].map((name) => `${RELEASE}-${name}`),
    )
  })
})

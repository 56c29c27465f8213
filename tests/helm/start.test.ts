import { expect } from 'chai'
import type { Deployment } from 'kubernetes-types/apps/v1.d.ts'
import type { Job } from 'kubernetes-types/batch/v1.d.ts'
import type { Container, Pod, PodSpec, Probe, Service } from 'kubernetes-types/core/v1.d.ts'
import { seed } from '../../scripts/seed/seed.ts'
import { findFreePort } from '../../scripts/servers/port.ts'
import { createEmptyDatabase, type TestDatabase } from '../support/database.ts'
import { newPrefix } from '../support/invalidator.ts'
import { type PrivateRedis, startPrivateRedis } from '../support/private-redis.ts'
import { until } from '../support/until.ts'
import { type Manifest, RELEASE, renderChart } from './chart.ts'
import { environmentOf, type PodProcess, startContainer, type Surroundings } from './pod-process.ts'

/** The chart's values, with free local ports and an existing Redis. */
const valuesWith = async (prefix: string) => ({
  settings: { CACHE_PREFIX: prefix, LOG_LEVEL: 'warn' },
  api: {
    port: await findFreePort(),
    metricsPort: await findFreePort(),
    settings: { DB_POOL_SIZE: 4 },
  },
  invalidator: { metricsPort: await findFreePort() },
  redis: { mode: 'existing' },
  jobs: { install: { freshDatabase: true } },
})

describe('containers of the chart', function () {
  this.timeout(120_000)
  let database: TestDatabase
  let redis: PrivateRedis
  let surroundings: Surroundings
  const services: PodProcess[] = []

  before(async () => {
    database = await createEmptyDatabase()
    redis = await startPrivateRedis()
    surroundings = {
      manifests: await renderChart(await valuesWith(newPrefix())),
      secrets: {
        spms: {
          API_DATABASE_URL: database.url,
          INVALIDATOR_DATABASE_URL: database.url,
          OWNER_DATABASE_URL: database.url,
          REDIS_URL: redis.url,
          SESSION_SECRETS: 'a secret that only this test knows',
        },
      },
    }
  })
  after(async () => {
    for (const service of services) service.stop()
    await Promise.all(services.map(({ ended }) => ended))
    await redis[Symbol.asyncDispose]()
    await database[Symbol.asyncDispose]()
  })

  const find = (kind: string, name: string) => {
    const found = surroundings.manifests.find(
      (manifest) => manifest.kind === kind && manifest.metadata.name === `${RELEASE}-${name}`,
    )
    if (!found) throw new Error(`the chart makes no ${kind} ${name}`)
    return found
  }
  const only = (containers: readonly Container[] | undefined): Container => {
    const [container, ...others] = containers ?? []
    if (!container || others.length > 0) throw new Error('not one container')
    return container
  }
  const start = (container: Container, more: Readonly<Record<string, string>> = {}) =>
    startContainer(container, { ...environmentOf(container, surroundings), ...more })

  it('install on an empty database, even when two Jobs run concurrently', async () => {
    const job = (find('Job', 'install') as Manifest & Job).spec?.template.spec
    const runPod = async ({ initContainers, containers }: PodSpec) => {
      for (const container of [only(initContainers), only(containers)]) {
        const { code, output } = await (await start(container)).ended
        expect(code, output).to.equal(0)
      }
    }
    if (!job) throw new Error('the Job has no pod')
    await Promise.all([runPod(job), runPod(job)])
    // The API does not cache an empty list, so the database needs rows.
    await seed(database.url)
  })

  it('start both services, and all their probes succeed', async () => {
    for (const name of ['api', 'invalidator']) {
      const container = only(
        (find('Deployment', name) as Manifest & Deployment).spec?.template.spec?.containers,
      )
      const service = await start(container)
      services.push(service)
      const gone = service.ended.then(({ output }) => {
        throw new Error(`${name} ended: ${output}`)
      })
      const { startupProbe, livenessProbe, readinessProbe } = container
      for (const probe of [startupProbe, livenessProbe, readinessProbe]) {
        const address = addressOf(container, probe)
        await Promise.race([until(() => answers(address)), gone])
      }
      gone.catch(() => {})
    }
  })

  it('answer from the cache when `helm test` requests the Service', async () => {
    const service = find('Service', 'api') as Manifest & Service
    const container = only(
      (find('Deployment', 'api') as Manifest & Deployment).spec?.template.spec?.containers,
    )
    const [port] = service.spec?.ports ?? []
    const target = container.ports?.find(({ name }) => name === port?.targetPort)?.containerPort
    const test = only((find('Pod', 'test-answers') as Manifest & Pod).spec?.containers)
    const { API_URL, CACHED } = environmentOf(test, surroundings)
    // The address of the Service, replaced by a local one below.
    expect(API_URL).to.equal(`http://${service.metadata.name}:${port?.port}`)
    expect(CACHED).to.equal('true')
    const { code, output } = await (
      await start(test, { API_URL: `http://127.0.0.1:${target}` })
    ).ended
    expect(code, output).to.equal(0)
    expect(output).to.include('answers: spms; hit')
  })

  it('report no problem from doctor', async () => {
    const test = only((find('Pod', 'test-doctor') as Manifest & Pod).spec?.containers)
    const { code, output } = await (await start(test)).ended
    expect(output).to.include('nothing is wrong')
    expect(code).to.equal(0)
  })

  it('stop on SIGTERM with exit code 0', async () => {
    for (const service of services) service.stop()
    for (const { code, output } of await Promise.all(services.map(({ ended }) => ended))) {
      expect(code, output).to.equal(0)
    }
  })
})

function addressOf({ name, ports = [] }: Container, probe: Probe | undefined): string {
  const { path, port } = probe?.httpGet ?? {}
  const found = ports.find((it) => it.name === port)
  if (!found) throw new Error(`${name}: there is no port ${port}`)
  return `http://127.0.0.1:${found.containerPort}${path}`
}

const answers = (address: string) =>
  fetch(address).then(
    ({ ok }) => ok,
    () => false,
  )

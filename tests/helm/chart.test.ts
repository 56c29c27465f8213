import { access, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import type { Deployment } from 'kubernetes-types/apps/v1.d.ts'
import type { HorizontalPodAutoscaler } from 'kubernetes-types/autoscaling/v2.d.ts'
import type { ConfigMap, PodSpec, PodTemplateSpec, Service } from 'kubernetes-types/core/v1.d.ts'
import type { Ingress } from 'kubernetes-types/networking/v1.d.ts'
import { parse } from 'yaml'
import { apiConfig } from '../../api/config.ts'
import { invalidatorConfig } from '../../invalidator/config.ts'
import { readChartValues } from '../../scripts/docs/chart-values.ts'
import { root } from '../../scripts/paths.ts'
import { parseConfig } from '../../shared/config.ts'
import { GRACE_MS } from '../../shared/lifecycle.ts'
import { catalog } from '../../shared/resources/index.ts'
import { API_SETTINGS, CASES } from './cases.ts'
import {
  CHART,
  helm,
  type Manifest,
  RELEASE,
  renderChart,
  renderWith,
  type Values,
} from './chart.ts'
import { findCustomMisuses, isCustom } from './custom-kinds.ts'
import { findMisuses } from './misuses.ts'

type Labels = Readonly<Record<string, string>>

interface PodOf {
  readonly of: Manifest
  readonly labels: Labels
  readonly spec: PodSpec
}

/** Every pod that something rendered makes, or is. */
function podsOf(manifests: readonly Manifest[]): PodOf[] {
  return manifests.flatMap((of) => {
    if (of.kind === 'Pod') {
      const { spec } = of as Manifest & { spec: PodSpec }
      return [{ of, labels: of.metadata.labels ?? {}, spec }]
    }
    if (of.kind !== 'Deployment' && of.kind !== 'Job') return []
    const { template } = (of as Manifest & { spec: { template: PodTemplateSpec } }).spec
    if (!template.spec) throw new Error(`${of.metadata.name} has no pod`)
    return [{ of, labels: template.metadata?.labels ?? {}, spec: template.spec }]
  })
}

const containersOf = ({ spec }: PodOf) => [...(spec.initContainers ?? []), ...spec.containers]

const ofKind = <T>(manifests: readonly Manifest[], kind: string) =>
  manifests.filter((manifest) => manifest.kind === kind) as (Manifest & T)[]

const named = (manifests: readonly Manifest[], kind: string, name: string | undefined) =>
  manifests.find((it) => it.kind === kind && it.metadata.name === name)

/** Label selectors, wherever they stand in it. */
function selectorsOf(value: unknown): Labels[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) =>
    key === 'matchLabels' ? [inner as Labels] : selectorsOf(inner),
  )
}

const selects = (selector: Labels, labels: Labels) =>
  Object.entries(selector).every(([name, value]) => labels[name] === value)

interface Schema {
  readonly $ref?: string
  readonly properties?: Readonly<Record<string, Schema>>
}

/** The values that a schema knows; of settings, each of which the program itself has a default for, the map. */
function pathsOf(schema: Schema, definitions: Readonly<Record<string, Schema>>): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    const found = definitions[property.$ref?.replace('#/definitions/', '') ?? ''] ?? property
    // What charts above this one share is none of its values.
    if (name === 'global') return []
    if (name === 'settings' || !found.properties) return [name]
    return pathsOf(found, definitions).map((path) => `${name}.${path}`)
  })
}

describe('the chart', function () {
  this.timeout(60_000)
  const rendered = new Map<string, readonly Manifest[]>()

  before(async () => {
    for (const [name, values] of Object.entries(CASES)) {
      rendered.set(name, await renderChart(values))
    }
    for (const file of await readdir(CHART)) {
      if (/^values-.*\.yaml$/.test(file)) rendered.set(file, await renderWith(file))
    }
  })
  const each = (check: (manifests: readonly Manifest[], name: string) => void) => {
    for (const [name, manifests] of rendered) check(manifests, name)
  }
  const find = (name: string) => rendered.get(name) ?? []

  it('passes the strictest lint, with the values of each example', async () => {
    for (const file of (await readdir(CHART)).filter((name) => /^values.*\.yaml$/.test(name))) {
      await helm('lint', '--strict', CHART, '--values', join(CHART, file))
    }
  })

  it('has a default for each value that it takes, and says of each group what it is', async () => {
    const schema = JSON.parse(await readFile(join(CHART, 'values.schema.json'), 'utf8'))
    const values = readChartValues(await readFile(join(CHART, 'values.yaml'), 'utf8'))
    const groups = new Set(values.map(({ path }) => path.split('.').slice(0, -1).join('.')))
    const paths = values.map(({ path }) => path).filter((path) => !groups.has(path))
    expect(paths).to.have.members(pathsOf(schema, schema.definitions))
  })

  it('says nothing that Kubernetes does not understand, nor leaves out what it needs', () => {
    const all = [...rendered.values()].flat()
    expect(findMisuses(all.filter((manifest) => !isCustom(manifest)))).to.be.empty
    expect(all.filter(isCustom).flatMap(findCustomMisuses)).to.be.empty
  })

  it('would be told of a field that there is not, one of another type and one that is missing', () => {
    const [deployment] = ofKind<Deployment>(find('the defaults'), 'Deployment')
    const broken = [
      { ...deployment, spec: { ...deployment?.spec, replicaCount: 2 } },
      { ...deployment, spec: { ...deployment?.spec, replicas: '2' } },
      { ...deployment, spec: { ...deployment?.spec, selector: undefined } },
      { ...deployment, kind: 'Deploymnet' },
    ]
    for (const manifest of broken) {
      expect(findMisuses([manifest as Manifest]), JSON.stringify(manifest)).to.have.length(1)
    }
  })

  it('gives each thing a name of its own, that may be one', () => {
    each((manifests) => {
      const names = manifests.map(({ kind, metadata }) => `${kind} ${metadata.name}`)
      expect(new Set(names)).to.have.property('size', names.length)
      for (const { metadata } of manifests) {
        expect(metadata.name).to.match(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/)
      }
    })
  })

  it('selects only pods that it makes, and a Deployment all of its own and no others', () => {
    each((manifests, name) => {
      const pods = podsOf(manifests)
      for (const { of, labels } of pods.filter(({ of }) => of.kind === 'Deployment')) {
        const [selector] = selectorsOf((of as Manifest & Deployment).spec?.selector)
        const selected = pods.filter((pod) => selects(selector ?? {}, pod.labels))
        expect(selected, of.metadata.name).to.deep.equal(pods.filter((pod) => pod.of === of))
        expect(labels).to.include(selector)
      }
      for (const { kind, metadata, ...rest } of manifests) {
        const chosen = kind === 'Service' ? [(rest as Service).spec?.selector] : selectorsOf(rest)
        for (const selector of chosen) {
          // Peers outside of the release, and what a ServiceMonitor reads.
          if (!selector?.['app.kubernetes.io/instance'] || kind === 'ServiceMonitor') continue
          const found = pods.some(({ labels }) => selects(selector, labels))
          expect(found, `${name}: ${kind} ${metadata.name}`).to.be.true
        }
      }
    })
  })

  it('names only what it makes itself, or what the values say is there', () => {
    each((manifests, name) => {
      for (const { of, spec } of podsOf(manifests)) {
        const account = spec.serviceAccountName
        if (account !== undefined && account !== 'default') {
          expect(named(manifests, 'ServiceAccount', account), name).to.exist
        }
        for (const { envFrom = [], ports = [], ...container } of spec.containers) {
          for (const { configMapRef } of envFrom) {
            expect(named(manifests, 'ConfigMap', configMapRef?.name), name).to.exist
          }
          const portNames = ports.map((port) => port.name)
          for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe'] as const) {
            const { httpGet, tcpSocket } = container[probe] ?? {}
            const port = (httpGet ?? tcpSocket)?.port
            if (port !== undefined) expect(portNames, of.metadata.name).to.include(port)
          }
        }
      }
      for (const { metadata, spec } of ofKind<Service>(manifests, 'Service')) {
        const pod = podsOf(manifests).find(({ labels }) => selects(spec?.selector ?? {}, labels))
        const ports = pod?.spec.containers.flatMap((container) => container.ports ?? []) ?? []
        for (const { targetPort } of spec?.ports ?? []) {
          expect(
            ports.map((port) => port.name),
            metadata.name,
          ).to.include(targetPort)
        }
      }
      for (const { spec } of ofKind<HorizontalPodAutoscaler>(
        manifests,
        'HorizontalPodAutoscaler',
      )) {
        const target = named(manifests, 'Deployment', spec?.scaleTargetRef.name)
        expect(target, name).to.exist
        // Or each upgrade would undo what the autoscaler has done.
        expect((target as Manifest & Deployment).spec).not.to.have.property('replicas')
      }
      for (const { spec } of ofKind<Ingress>(manifests, 'Ingress')) {
        for (const { backend } of spec?.rules?.flatMap(({ http }) => http?.paths ?? []) ?? []) {
          const service = named(manifests, 'Service', backend.service?.name) as Manifest & Service
          const ports = service.spec?.ports?.map((port) => port.name)
          expect(ports, name).to.include(backend.service?.port?.name)
        }
      }
    })
  })

  it('needs nothing of the release before it is installed but Secrets', () => {
    each((manifests) => {
      for (const { of, spec } of podsOf(manifests)) {
        if (of.kind !== 'Job') continue
        expect(spec.serviceAccountName).to.be.undefined
        for (const container of spec.containers) expect(container.envFrom).to.be.undefined
      }
    })
  })

  it('gives no pod any right that it can do without', () => {
    each((manifests, name) => {
      for (const pod of podsOf(manifests)) {
        const { spec, of } = pod
        const label = `${name}: ${of.kind} ${of.metadata.name}`
        expect(spec.automountServiceAccountToken, label).to.be.false
        // A Service's name would otherwise become the name of a setting.
        expect(spec.enableServiceLinks, label).to.be.false
        expect(spec.securityContext, label).to.deep.include({
          runAsNonRoot: true,
          seccompProfile: { type: 'RuntimeDefault' },
        })
        // The name of a user would not show whether it is root.
        expect(spec.securityContext?.runAsUser, label).to.be.above(0)
        for (const container of containersOf(pod)) {
          expect(container.securityContext, label).to.deep.equal({
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          })
          expect(container.resources?.requests, label).to.have.all.keys('cpu', 'memory')
          expect(container.resources?.limits, label).to.have.property('memory')
        }
      }
    })
  })

  it('runs programs of the images, and never a shell', async () => {
    const scripts = new Set<string>()
    each((manifests) => {
      for (const container of podsOf(manifests).flatMap(containersOf)) {
        const [program, script = ''] = container.command ?? []
        expect(program).to.be.oneOf(['node', 'redis-server'])
        if (script.startsWith('dist/')) scripts.add(script)
      }
    })
    expect([...scripts].toSorted()).to.deep.equal([
      'dist/api/main.js',
      'dist/invalidator/main.js',
      'dist/scripts/spms.js',
    ])
    for (const script of scripts) {
      await access(join(root, script.replace('dist/', '').replace('.js', '.ts')))
    }
  })

  it('lets a pod end by itself before it is ended', () => {
    each((manifests) => {
      for (const { of, spec } of podsOf(manifests)) {
        const component = of.metadata.labels?.['app.kubernetes.io/component'] ?? ''
        if (!['api', 'invalidator'].includes(component)) continue
        const [container] = spec.containers
        const preStopS = container?.lifecycle?.preStop?.sleep?.seconds ?? 0
        const graceS = (spec.terminationGracePeriodSeconds ?? 30) - preStopS
        expect(graceS * 1000, of.metadata.name).to.be.above(GRACE_MS)
      }
    })
  })

  it('passes on every setting as the program reads it, and lacks none', () => {
    const settingsOf = (component: string) => {
      const all = find('everything that can be turned on')
      const maps = ofKind<ConfigMap>(all, 'ConfigMap')
      const map = maps.find(({ metadata }) => metadata.name.endsWith(`-${component}`))
      return map?.data ?? {}
    }
    const secrets = {
      DATABASE_URL: 'postgres://u:p@db/spms',
      REDIS_URL: 'redis://redis',
      SESSION_SECRETS: 's'.repeat(32),
    }
    const schema = apiConfig(catalog.map(({ name }) => name))
    // It is known only to be rejected by name.
    const namesOf = ({ in: { shape } }: { readonly in: { readonly shape: object } }) =>
      Object.keys(shape).filter((name) => name !== 'PGSSLMODE')
    expect({ ...settingsOf('api'), ...secrets }).to.have.all.keys(namesOf(schema))
    const { SESSION_SECRETS: _, ...less } = secrets
    expect({
      LOG_LEVEL: '',
      LOG_FORMAT: '',
      ...settingsOf('invalidator'),
      ...less,
    }).to.have.all.keys(namesOf(invalidatorConfig))

    const api = parseConfig(schema, { ...settingsOf('api'), ...secrets })
    expect(api).to.deep.include({
      host: '0.0.0.0',
      port: 8000,
      metricsPort: 9464,
      log: { level: 'debug', format: 'text' },
      connections: { reads: 5, writes: 1, loads: 4, loadQueue: 10, writeQueue: 20 },
    })
    expect(api.cache).to.deep.include({
      prefix: 'spms-blue',
      commandTimeoutMs: 40,
      budgetMs: 90,
      maxStalenessMs: 8_000,
      resources: new Set(API_SETTINGS.CACHE_RESOURCES),
      ttlOverridesMs: new Map([
        ['staff:list', 60_000],
        ['project:stats', 1_000_000_000],
      ]),
    })
    expect(api.http).to.deep.include({
      bodyLimitBytes: 2_000_000,
      corsOrigins: ['https://spms.example'],
      edgeMaxAgeS: 30,
      rateLimit: { perS: 0, burst: 50 },
      sessionIdleS: 7_200,
      passwordIterations: 1_200_000,
      trustProxy: ['10.0.0.0/8'],
      bearer: {
        issuer: 'https://login.example/',
        audiences: ['spms', 'api'],
        jwksUrl: 'https://login.example/keys',
        algorithms: ['RS256'],
        userClaim: 'sub',
        emailVerifiedClaim: 'xms_edov',
        maxLifetimeS: 3_600,
      },
    })
    const invalidator = parseConfig(invalidatorConfig, { ...settingsOf('invalidator'), ...less })
    expect(invalidator).to.include({ metricsPort: 9465, prefix: 'spms-blue', heartbeatMs: 400 })
  })

  it('replaces the pods whose settings have changed, and those alone', async () => {
    const before = find('the defaults')
    const after = await renderChart({ api: { settings: { DB_POOL_SIZE: 11 } } })
    const template = (manifests: readonly Manifest[], component: string) =>
      (named(manifests, 'Deployment', `${RELEASE}-${component}`) as Manifest & Deployment).spec
        ?.template
    expect(template(after, 'api')).not.to.deep.equal(template(before, 'api'))
    expect(template(after, 'invalidator')).to.deep.equal(template(before, 'invalidator'))
  })

  it('asks for no Redis where nothing is cached, so that it may be taken away', () => {
    expect(JSON.stringify(find('no cache at all'))).not.to.match(/redis/i)
  })

  it('never has Redis evict the watermark, nor grow beyond its container', () => {
    const redis = podsOf(find('the defaults')).find(({ of }) => of.metadata.name.endsWith('-redis'))
    const [container] = redis?.spec.containers ?? []
    const args = container?.args?.join(' ')
    expect(args).to.include('--maxmemory 1024mb --maxmemory-policy volatile-lru --save  ')
    expect(container?.resources?.limits?.memory).to.equal('1280Mi')
  })

  it('expects of what `helm test` asks for that it is cached, only where it is', async () => {
    const expected = async (settings: Values) => {
      const manifests = await renderChart({ api: { settings } })
      const pods = podsOf(manifests).filter(({ of }) => of.metadata.name.endsWith('-answers'))
      const [variable] = pods
        .flatMap(({ spec }) => spec.containers.flatMap(({ env = [] }) => env))
        .filter(({ name }) => name === 'CACHED')
      return variable?.value
    }
    expect(await expected({})).to.equal('true')
    expect(await expected({ CACHE_RESOURCES: ['staff:list', 'user:me'] })).to.equal('true')
    expect(await expected({ CACHE_RESOURCES: ['user:me'] })).to.equal('false')
    expect(await expected({ CACHE_ENABLED: false })).not.to.equal('true')
  })

  it('hands on alerts and dashboard as they stand beside it, with what they have Prometheus fill in', async () => {
    const read = (name: string) => readFile(join(CHART, 'files', name), 'utf8')
    const all = find('everything that can be turned on')
    const rule = named(all, 'PrometheusRule', 'a-name-of-forty-characters-to-the-letter')
    const spec: unknown = parse(await read('alerts.yaml'))
    expect(JSON.stringify(spec)).to.include('{{ $labels.')
    expect(rule).to.deep.include({ spec })
    const dashboard = all.find(({ metadata }) => metadata.labels?.grafana_dashboard === '1')
    const data = (dashboard as (Manifest & ConfigMap) | undefined)?.data ?? {}
    expect(JSON.parse(data['spms-api.json'] ?? '')).to.deep.equal(
      JSON.parse(await read('dashboard.json')),
    )
  })

  it('installs before the first pod starts, also before what it goes back to', () => {
    const hooks = new Map(
      find('everything that can be turned on')
        .filter(({ kind }) => kind === 'Job')
        .map(({ metadata }) => [
          metadata.labels?.['app.kubernetes.io/component'],
          metadata.annotations?.['helm.sh/hook'],
        ]),
    )
    expect([...hooks]).to.have.deep.members([
      ['install', 'pre-install,pre-upgrade,pre-rollback'],
      ['retire', 'post-upgrade'],
      ['uninstall', 'pre-delete'],
    ])
  })
})

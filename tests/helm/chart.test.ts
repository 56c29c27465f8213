import { access, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import type { Deployment } from 'kubernetes-types/apps/v1.d.ts'
import type { HorizontalPodAutoscaler } from 'kubernetes-types/autoscaling/v2.d.ts'
import type { ConfigMap, PodSpec, PodTemplateSpec, Service } from 'kubernetes-types/core/v1.d.ts'
import type { Ingress, NetworkPolicy } from 'kubernetes-types/networking/v1.d.ts'
import { parse } from 'yaml'
import { apiConfig } from '../../api/config.ts'
import { invalidatorConfig } from '../../invalidator/config.ts'
import { readChartValues } from '../../scripts/docs/chart-values.ts'
import { root } from '../../scripts/paths.ts'
import { parseRedisUrl } from '../../shared/cache/index.ts'
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

/** Returns every rendered pod and pod template. */
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

/** Returns all nested label selectors. */
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

/**
 * Returns the paths of all values in a schema. A `settings` map counts as one value, since the
 * program has defaults for its entries.
 */
function pathsOf(schema: Schema, definitions: Readonly<Record<string, Schema>>): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    const found = definitions[property.$ref?.replace('#/definitions/', '') ?? ''] ?? property
    // `global` holds values shared with parent charts, which this chart does not use.
    if (name === 'global') return []
    if (name === 'settings' || !found.properties) return [name]
    return pathsOf(found, definitions).map((path) => `${name}.${path}`)
  })
}

describe('chart', function () {
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

  it('passes `helm lint --strict` with the values of each example', async () => {
    for (const file of (await readdir(CHART)).filter((name) => /^values.*\.yaml$/.test(name))) {
      await helm('lint', '--strict', CHART, '--values', join(CHART, file))
    }
  })

  it('has a default for each value of the schema', async () => {
    const schema = JSON.parse(await readFile(join(CHART, 'values.schema.json'), 'utf8'))
    const values = readChartValues(await readFile(join(CHART, 'values.yaml'), 'utf8'))
    const groups = new Set(values.map(({ path }) => path.split('.').slice(0, -1).join('.')))
    const paths = values.map(({ path }) => path).filter((path) => !groups.has(path))
    expect(paths).to.have.members(pathsOf(schema, schema.definitions))
  })

  it('renders only valid Kubernetes manifests', () => {
    const all = [...rendered.values()].flat()
    expect(findMisuses(all.filter((manifest) => !isCustom(manifest)))).to.be.empty
    expect(all.filter(isCustom).flatMap(findCustomMisuses)).to.be.empty
  })

  it('is checked for unknown fields, wrong types, missing fields and unknown kinds', () => {
    const [deployment] = ofKind<Deployment>(find('defaults'), 'Deployment')
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

  it('gives every object a valid and unique name', () => {
    each((manifests) => {
      const names = manifests.map(({ kind, metadata }) => `${kind} ${metadata.name}`)
      expect(new Set(names)).to.have.property('size', names.length)
      for (const { metadata } of manifests) {
        expect(metadata.name).to.match(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/)
      }
    })
  })

  it('selects only its own pods, and each Deployment exactly its own', () => {
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
          // Selectors may also match peers outside of the release and targets of a
          // ServiceMonitor.
          if (!selector?.['app.kubernetes.io/instance'] || kind === 'ServiceMonitor') continue
          const found = pods.some(({ labels }) => selects(selector, labels))
          expect(found, `${name}: ${kind} ${metadata.name}`).to.be.true
        }
      }
    })
  })

  it('refers only to objects and ports that it renders', () => {
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
        // Otherwise each upgrade would reset the number of replicas.
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

  it('requires only Secrets before its installation', () => {
    each((manifests) => {
      for (const { of, spec } of podsOf(manifests)) {
        if (of.kind !== 'Job') continue
        expect(spec.serviceAccountName).to.be.undefined
        for (const container of spec.containers) expect(container.envFrom).to.be.undefined
      }
    })
  })

  it('gives uploaded files to the API only: as a volume, or as a container of Azure', async () => {
    const mounting = podsOf(find('all features')).filter((pod) =>
      containersOf(pod).some(({ volumeMounts = [] }) =>
        volumeMounts.some(({ mountPath }) => mountPath === '/media'),
      ),
    )
    expect(mounting.map(({ of }) => of.metadata.name.split('-').at(-1))).to.deep.equal(['api'])
    const [{ spec } = { spec: undefined }] = mounting
    expect(spec?.securityContext?.fsGroup).to.equal(1_000)
    expect(spec?.volumes).to.deep.include({
      name: 'media',
      persistentVolumeClaim: { claimName: 'media' },
    })
    expect(environmentOf(mounting)).to.include({ MEDIA_ROOT: '/media' })

    const azure = podsOf(await renderChart({ media: { container: 'files' } }))
    expect(environmentOf(azure)).to.include({ AZURE_STORAGE_CONTAINER: 'files' })
    expect(environmentOf(azure)).to.have.property('AZURE_STORAGE_CONNECTION_STRING')
  })

  const environmentOf = (pods: ReturnType<typeof podsOf>) =>
    Object.fromEntries(
      pods
        .filter(({ of }) => of.metadata.name.endsWith('-api'))
        .flatMap(containersOf)
        .flatMap(({ env = [] }) => env.map(({ name, value }) => [name, value])),
    )

  it('grants pods no unnecessary rights', () => {
    each((manifests, name) => {
      for (const pod of podsOf(manifests)) {
        const { spec, of } = pod
        const label = `${name}: ${of.kind} ${of.metadata.name}`
        expect(spec.automountServiceAccountToken, label).to.be.false
        // Environment variables of service links could collide with settings.
        expect(spec.enableServiceLinks, label).to.be.false
        expect(spec.securityContext, label).to.deep.include({
          runAsNonRoot: true,
          seccompProfile: { type: 'RuntimeDefault' },
        })
        // A user name would not show whether the user is root.
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

  it('runs only programs of the images and no shell', async () => {
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

  it('gives pods more time to stop than the programs need', () => {
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

  it('passes every setting to the program, and the program accepts them', () => {
    const settingsOf = (component: string) => {
      const all = find('all features')
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
    // The program knows PGSSLMODE only to reject it.
    const namesOf = ({ in: { shape } }: { readonly in: { readonly shape: object } }) =>
      Object.keys(shape).filter((name) => name !== 'PGSSLMODE')
    const storage = {
      MEDIA_ROOT: '',
      AZURE_STORAGE_CONNECTION_STRING: '',
      AZURE_STORAGE_CONTAINER: '',
    }
    expect({ ...settingsOf('api'), ...secrets, ...storage }).to.have.all.keys(namesOf(schema))
    const { SESSION_SECRETS: _, ...less } = secrets
    expect({
      LOG_LEVEL: '',
      LOG_FORMAT: '',
      CONSOLE_TOKEN: '',
      ...settingsOf('invalidator'),
      ...less,
    }).to.have.all.keys(namesOf(invalidatorConfig))

    const api = parseConfig(schema, { ...settingsOf('api'), ...secrets })
    expect(api).to.deep.include({
      host: '0.0.0.0',
      port: 8000,
      metricsPort: 9464,
      log: { level: 'debug', format: 'text' },
      connections: {
        reads: 5,
        writes: 1,
        loads: 4,
        expensiveReads: 1,
        loadQueue: 10,
        writeQueue: 20,
      },
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
      uploadLimitBytes: 1_000_000,
      corsOrigins: ['https://spms.example'],
      edgeMaxAgeS: 30,
      timeZone: 'Australia/Sydney',
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

  it('replaces only the pods whose settings have changed', async () => {
    const before = find('defaults')
    const after = await renderChart({ api: { settings: { DB_POOL_SIZE: 11 } } })
    const template = (manifests: readonly Manifest[], component: string) =>
      (named(manifests, 'Deployment', `${RELEASE}-${component}`) as Manifest & Deployment).spec
        ?.template
    expect(template(after, 'api')).not.to.deep.equal(template(before, 'api'))
    expect(template(after, 'invalidator')).to.deep.equal(template(before, 'invalidator'))
  })

  it('passes the address of a Redis Cluster to the programs, which accept it, and permits its ports', () => {
    const urlsOf = (name: string) => {
      const values = podsOf(find(name))
        .flatMap(containersOf)
        .flatMap(({ env = [] }) => env.filter((one) => one.name === 'REDIS_URL'))
        .map(({ value = '' }) => value)
      return [...new Set(values)]
    }
    const [url = '', ...others] = urlsOf('a Redis Cluster')
    expect(others).to.deep.equal([])
    expect(parseRedisUrl(url.replace('$(REDIS_PASSWORD)', 'secret'))).to.deep.include({
      kind: 'cluster',
      nodes: [
        { host: 'redis-0.example', port: 7000 },
        { host: 'fd00::1', port: 7001 },
      ],
      tls: true,
      username: 'spms',
      password: 'secret',
      buckets: 32,
      map: new Map([
        ['10.0.0.1:6379', { host: 'redis-0.example', port: 7000 }],
        ['10.0.0.2:6379', { host: 'proxy', port: 7100 }],
      ]),
    })
    expect(urlsOf('a Redis Cluster without passwords')).to.deep.equal([
      'redis-cluster://redis:7000?buckets=64',
    ])
    for (const component of ['api', 'invalidator']) {
      const policy = named(find('a Redis Cluster'), 'NetworkPolicy', `${RELEASE}-${component}`)
      const { egress = [] } = (policy as Manifest & NetworkPolicy).spec ?? {}
      const ports = egress.flatMap((rule) => rule.ports ?? [])
      expect(ports.map(({ port }) => port)).to.include.members([6379, 7000, 7001, 7100])
      expect(ports).to.deep.include({ port: 8500, endPort: 8599, protocol: 'TCP' })
    }
  })

  it('renders nothing of Redis when caching is off', () => {
    expect(JSON.stringify(find('no cache'))).not.to.match(/redis/i)
  })

  it('configures Redis to evict no watermark and to stay within its memory limit', () => {
    const redis = podsOf(find('defaults')).find(({ of }) => of.metadata.name.endsWith('-redis'))
    const [container] = redis?.spec.containers ?? []
    const args = container?.args?.join(' ')
    expect(args).to.include('--maxmemory 1024mb --maxmemory-policy volatile-lru --save  ')
    expect(container?.resources?.limits?.memory).to.equal('1280Mi')
  })

  it('expects a cached response in `helm test` only if the resource is cached', async () => {
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

  it('includes alerts and the dashboard unchanged, with their Prometheus templates', async () => {
    const read = (name: string) => readFile(join(CHART, 'files', name), 'utf8')
    const all = find('all features')
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

  it('installs the event log before the first pod starts, also before a rollback', () => {
    const hooks = new Map(
      find('all features')
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

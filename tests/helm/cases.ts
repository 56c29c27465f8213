import type { Values } from './chart.ts'

const peers = [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'ingress' } } }]

const pod = {
  podAnnotations: { note: 'one' },
  podLabels: { team: 'science' },
  priorityClassName: 'high',
  nodeSelector: { 'kubernetes.io/os': 'linux' },
  tolerations: [{ key: 'dedicated', operator: 'Exists' }],
  affinity: { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [] } },
  extraEnv: [{ name: 'NODE_OPTIONS', value: '--max-old-space-size=300' }],
}

/** Every setting of the API, with another value than its default. */
export const API_SETTINGS = {
  LOG_LEVEL: 'debug',
  LOG_FORMAT: 'text',
  REDIS_TIMEOUT_MS: 40,
  REDIS_BUDGET_MS: 90,
  CACHE_MAX_VALUE_BYTES: 500_000,
  COMPRESSION_MIN_BYTES: 2_000,
  COMPRESSION_LEVEL: 4,
  MAX_STALENESS_MS: 8_000,
  CACHE_ENABLED: true,
  CACHE_RESOURCES: ['staff:profile', 'staff:list'],
  CACHE_TTL_OVERRIDES: { 'staff:list': 60, 'project:stats': 1_000_000 },
  JWT_ISSUER: 'https://login.example/',
  JWT_AUDIENCE: ['spms', 'api'],
  JWT_JWKS_URL: 'https://login.example/keys',
  JWT_ALGORITHMS: ['RS256'],
  JWT_USER_CLAIM: 'sub',
  JWT_EMAIL_VERIFIED_CLAIM: 'xms_edov',
  JWT_MAX_LIFETIME_S: 3_600,
  SESSION_IDLE_S: 7_200,
  PASSWORD_ITERATIONS: 1_200_000,
  CORS_ORIGINS: ['https://spms.example'],
  TRUST_PROXY: ['10.0.0.0/8'],
  RATE_LIMIT_PER_S: 0,
  RATE_LIMIT_BURST: 50,
  SEARCHES_PER_MINUTE: 60,
  EXPORTS_PER_MINUTE: 0,
  EDGE_MAX_AGE_S: 30,
  BODY_LIMIT_BYTES: 2_000_000,
  UPLOAD_LIMIT_BYTES: 1_000_000,
  DOCS_ENABLED: false,
  TIME_ZONE: 'Australia/Sydney',
  DB_POOL_SIZE: 6,
  LOAD_CONCURRENCY: 4,
  LOAD_QUEUE: 10,
  LOAD_TIMEOUT_MS: 5000,
  WRITE_CONCURRENCY: 1,
  WRITE_QUEUE: 20,
  WRITE_TIMEOUT_MS: 5000,
  LOCK_TIMEOUT_MS: 1000,
}

/** Values that together render everything in the chart. */
export const CASES: Readonly<Record<string, Values>> = {
  defaults: {},
  'all features': {
    fullnameOverride: 'a-name-of-forty-characters-to-the-letter',
    image: { registry: 'registry.example/science', tag: 'v1', pullSecrets: ['registry'] },
    caBundle: { configMap: 'certificates' },
    media: { claim: 'media' },
    secrets: { consoleToken: { name: 'console' } },
    settings: { CACHE_PREFIX: 'spms-blue' },
    api: {
      ...pod,
      image: { digest: `sha256:${'a'.repeat(64)}` },
      settings: API_SETTINGS,
      service: { type: 'LoadBalancer', annotations: { note: 'two' } },
    },
    invalidator: {
      ...pod,
      settings: { HEARTBEAT_MS: 400, CONSOLE_ENABLED: true },
      autoscaling: {
        enabled: true,
        metrics: [
          {
            type: 'External',
            external: {
              metric: { name: 'spms_event_backlog' },
              target: { type: 'Value', value: '1000' },
            },
          },
        ],
      },
    },
    jobs: {
      install: { freshDatabase: true },
      retire: { enabled: true },
      uninstall: { enabled: true },
    },
    ingress: {
      enabled: true,
      className: 'nginx',
      annotations: { note: 'three' },
      hosts: ['spms.example', 'www.spms.example'],
      paths: ['/api/v1', '/health'],
      tls: [{ hosts: ['spms.example'], secretName: 'tls' }],
    },
    serviceAccount: { name: 'science', annotations: { note: 'four' } },
    networkPolicy: {
      apiFrom: peers,
      metricsFrom: peers,
      databaseTo: [{ ipBlock: { cidr: '10.0.0.0/24' } }],
    },
    monitoring: {
      serviceMonitor: { enabled: true, labels: { release: 'prometheus' } },
      prometheusRule: { enabled: true, labels: { release: 'prometheus' } },
      dashboard: { enabled: true, annotations: { grafana_folder: 'Science' } },
    },
  },
  'existing Redis without autoscaling': {
    redis: { mode: 'existing' },
    api: { autoscaling: { enabled: false }, replicas: 3, preStopSeconds: 0 },
  },
  'a Redis Cluster': {
    networkPolicy: { redisPorts: [6379, '8500-8599'] },
    redis: {
      mode: 'cluster',
      cluster: {
        nodes: ['redis-0.example:7000', '[fd00::1]:7001'],
        tls: true,
        user: 'spms',
        buckets: 32,
        addresses: { '10.0.0.1:6379': 'redis-0.example:7000', '10.0.0.2:6379': 'proxy:7100' },
      },
    },
  },
  'a Redis Cluster without passwords': {
    redis: { mode: 'cluster', cluster: { nodes: ['redis:7000'], auth: false } },
  },
  'no cache': {
    redis: { mode: 'none' },
    api: {
      settings: { CACHE_ENABLED: false },
      autoscaling: { enabled: false },
      podDisruptionBudget: { enabled: false },
    },
    invalidator: { enabled: false },
    serviceAccount: { create: false },
    jobs: { install: { enabled: false } },
    tests: { doctor: false },
    networkPolicy: { enabled: false },
    monitoring: { serviceMonitor: { enabled: true } },
  },
}

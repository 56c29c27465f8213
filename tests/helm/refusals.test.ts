import { expect } from 'chai'
import { renderChart, type Values } from './chart.ts'

/** Returns Helm's error message for the values, or an empty string if it accepts them. */
const errorOf = (values: Values): Promise<string> =>
  renderChart(values).then(
    () => '',
    ({ message }: Error) => message,
  )

describe('invalid chart values', function () {
  this.timeout(60_000)

  const rejected: readonly (readonly [what: string, values: Values, message: RegExp])[] = [
    ['an unknown name', { replicas: 2 }, /Additional property replicas is not allowed/],
    [
      'a nested unknown name',
      { api: { replicaCount: 2 } },
      /api: Additional property replicaCount is not allowed/,
    ],
    [
      'a string instead of a number',
      { api: { replicas: '2' } },
      /api\.replicas: Invalid type.*integer/,
    ],
    [
      'zero replicas',
      { api: { replicas: 0 } },
      /api\.replicas: Must be greater than or equal to 1/,
    ],
    [
      'a fractional number of replicas',
      { invalidator: { replicas: 1.5 } },
      /invalidator\.replicas: Invalid type/,
    ],
    [
      'a privileged port',
      { api: { port: 80 } },
      /api\.port: Must be greater than or equal to 1024/,
    ],
    [
      'two places for uploaded files',
      { media: { claim: 'a', container: 'b' } },
      /media: set claim or container, not both/,
    ],
    ['an unknown Redis mode', { redis: { mode: 'sidecar' } }, /redis\.mode: redis\.mode must be/],
    [
      'an invalid digest',
      { api: { image: { digest: 'latest' } } },
      /api\.image\.digest: Does not match pattern/,
    ],
    [
      'a setting of another service',
      { settings: { DB_POOL_SIZE: 5 } },
      /settings: Additional property DB_POOL_SIZE is not allowed/,
    ],
    [
      'a secret in the settings',
      { api: { settings: { SESSION_SECRETS: 'x' } } },
      /Additional property SESSION_SECRETS is not allowed/,
    ],
    [
      'a misspelt resource',
      { api: { settings: { CACHE_RESOURCES: ['staff profile'] } } },
      /CACHE_RESOURCES/,
    ],
    [
      'a heartbeat above the limit of the invalidator',
      { invalidator: { settings: { HEARTBEAT_MS: 5_000 } } },
      /HEARTBEAT_MS: Must be less than or equal to 2000/,
    ],
    [
      'TRUST_PROXY that trusts every client',
      { api: { settings: { TRUST_PROXY: 'true' } } },
      /TRUST_PROXY/,
    ],
    [
      'a token issuer without an audience',
      { api: { settings: { JWT_ISSUER: 'https://login.example' } } },
      /JWT_AUDIENCE/,
    ],
    [
      'a number as an annotation',
      { api: { podAnnotations: { port: 9464 } } },
      /podAnnotations\.port: Invalid type\. Expected: string/,
    ],
    [
      'an Ingress without TRUST_PROXY',
      { ingress: { enabled: true, hosts: ['spms.example'] } },
      /api\.settings\.TRUST_PROXY: needed behind an Ingress/,
    ],
    [
      'an Ingress without hosts',
      { ingress: { enabled: true }, api: { settings: { TRUST_PROXY: 1 } } },
      /ingress\.hosts: needs at least one/,
    ],
    [
      'a cache without an invalidator',
      { invalidator: { enabled: false } },
      /invalidator\.enabled: may be false only with/,
    ],
    ['a cache without a Redis', { redis: { mode: 'none' } }, /redis\.mode: may be none only with/],
    [
      'a Redis Cluster without nodes',
      { redis: { mode: 'cluster' } },
      /redis\.cluster\.nodes: needs at least one/,
    ],
    [
      'a node without a port',
      { redis: { mode: 'cluster', cluster: { nodes: ['redis'] } } },
      /redis\.cluster\.nodes\.0: Does not match pattern/,
    ],
    [
      'a port that does not exist',
      { redis: { mode: 'cluster', cluster: { nodes: ['redis:99999'] } } },
      /redis\.cluster\.nodes\.0: Does not match pattern/,
    ],
    [
      'a range of ports without an end',
      { networkPolicy: { redisPorts: ['8500-'] } },
      /networkPolicy\.redisPorts\.0/,
    ],
    [
      'a number of buckets that is not a power of two',
      { redis: { mode: 'cluster', cluster: { nodes: ['redis:6379'], buckets: 60 } } },
      /redis\.cluster\.buckets/,
    ],
    [
      'a user of a Redis Cluster without a password',
      { redis: { mode: 'cluster', cluster: { nodes: ['redis:6379'], user: 'a', auth: false } } },
      /redis\.cluster\.user: needs redis\.cluster\.auth/,
    ],
    [
      'maxReplicas below minReplicas',
      { api: { autoscaling: { minReplicas: 7 } } },
      /api\.autoscaling: minReplicas is above maxReplicas/,
    ],
    ['a name that is too long', { fullnameOverride: 'x'.repeat(41) }, /fullnameOverride/],
  ]
  for (const [what, values, message] of rejected) {
    it(`are rejected with a message: ${what}`, async () => {
      expect(await errorOf(values)).to.match(message)
    })
  }
})

import { expect } from 'chai'
import { renderChart, type Values } from './chart.ts'

/** What the chart says of values, or nothing when it takes them. */
const complaintOf = (values: Values): Promise<string> =>
  renderChart(values).then(
    () => '',
    ({ message }: Error) => message,
  )

describe('values that are wrong', function () {
  this.timeout(60_000)

  const rejected: readonly (readonly [why: string, values: Values, complaint: RegExp])[] = [
    ['a name that there is not', { replicas: 2 }, /Additional property replicas is not allowed/],
    [
      'one of them further down',
      { api: { replicaCount: 2 } },
      /api: Additional property replicaCount is not allowed/,
    ],
    ['a text for a number', { api: { replicas: '2' } }, /api\.replicas: Invalid type.*integer/],
    [
      'no pod at all',
      { api: { replicas: 0 } },
      /api\.replicas: Must be greater than or equal to 1/,
    ],
    [
      'a fraction of one',
      { invalidator: { replicas: 1.5 } },
      /invalidator\.replicas: Invalid type/,
    ],
    ['a port of root', { api: { port: 80 } }, /api\.port: Must be greater than or equal to 1024/],
    [
      'a Redis of no known mode',
      { redis: { mode: 'sidecar' } },
      /redis\.mode: redis\.mode must be/,
    ],
    [
      'a digest that is none',
      { api: { image: { digest: 'latest' } } },
      /api\.image\.digest: Does not match pattern/,
    ],
    [
      'a setting of the wrong service',
      { settings: { DB_POOL_SIZE: 5 } },
      /settings: Additional property DB_POOL_SIZE is not allowed/,
    ],
    [
      'a secret among the settings',
      { api: { settings: { SESSION_SECRETS: 'x' } } },
      /Additional property SESSION_SECRETS is not allowed/,
    ],
    [
      'a misspelt resource',
      { api: { settings: { CACHE_RESOURCES: ['staff profile'] } } },
      /CACHE_RESOURCES/,
    ],
    [
      'a heartbeat that the invalidator refuses',
      { invalidator: { settings: { HEARTBEAT_MS: 5_000 } } },
      /HEARTBEAT_MS: Must be less than or equal to 2000/,
    ],
    [
      'belief in whatever a client says of itself',
      { api: { settings: { TRUST_PROXY: 'true' } } },
      /TRUST_PROXY/,
    ],
    [
      'half an issuer of tokens',
      { api: { settings: { JWT_ISSUER: 'https://login.example' } } },
      /JWT_AUDIENCE/,
    ],
    [
      'a number where Kubernetes wants a text',
      { api: { podAnnotations: { port: 9464 } } },
      /podAnnotations\.port: Invalid type\. Expected: string/,
    ],
    [
      'an Ingress whose clients would be taken for one',
      { ingress: { enabled: true, hosts: ['spms.example'] } },
      /api\.settings\.TRUST_PROXY: needed behind an Ingress/,
    ],
    [
      'an Ingress for nobody',
      { ingress: { enabled: true }, api: { settings: { TRUST_PROXY: 1 } } },
      /ingress\.hosts: needs at least one/,
    ],
    [
      'a cache in which nothing is forgotten',
      { invalidator: { enabled: false } },
      /invalidator\.enabled: may be false only with/,
    ],
    ['a cache without a Redis', { redis: { mode: 'none' } }, /redis\.mode: may be none only with/],
    [
      'a most below the least',
      { api: { autoscaling: { minReplicas: 7 } } },
      /api\.autoscaling: minReplicas is above maxReplicas/,
    ],
    ['a name that is too long', { fullnameOverride: 'x'.repeat(41) }, /fullnameOverride/],
  ]
  for (const [why, values, complaint] of rejected) {
    it(`are refused, and named: ${why}`, async () => {
      expect(await complaintOf(values)).to.match(complaint)
    })
  }
})

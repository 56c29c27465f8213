import { root } from '../../scripts/paths.ts'
import { findFreePort } from '../../scripts/servers/port.ts'
import { run, succeeds } from '../../scripts/servers/run.ts'
import { until } from '../support/until.ts'

/** What docker-compose.yml describes, under a name and on ports that nobody else here has. */
export interface Compose {
  /** Base address of the API. */
  readonly api: string
  readonly prometheus: string
  /** Runs a command of docker-compose, and answers what it printed. */
  compose(...args: readonly string[]): Promise<string>
  /** Runs SQL as a DBA at the container of Postgres would. */
  psql(sql: string): Promise<string>
  /** The ids of a service's containers. */
  containers(service: string): Promise<string[]>
  /** Waits until each container of a service is healthy, by its own check. */
  healthy(service: string, count?: number): Promise<void>
}

/** Runs a command of Docker, and answers what it printed. */
export const docker = (...args: readonly string[]): Promise<string> => run('docker', args)

/** Starts nothing yet. */
export async function openCompose(): Promise<Compose> {
  const [program = '', ...first] = (await succeeds('docker', ['compose', 'version']))
    ? ['docker', 'compose']
    : ['docker-compose']
  const [api, postgres, redis, prometheus] = await Promise.all([
    findFreePort(),
    findFreePort(),
    findFreePort(),
    findFreePort(),
  ])
  const env = {
    ...process.env,
    COMPOSE_PROJECT_NAME: 'spms-images',
    PORT: `${api}`,
    POSTGRES_PORT: `${postgres}`,
    REDIS_PORT: `${redis}`,
    PROMETHEUS_PORT: `${prometheus}`,
    RATE_LIMIT_PER_S: '0',
  }
  const compose: Compose['compose'] = (...args) =>
    run(program, [...first, ...args], { cwd: root, env })
  const containers: Compose['containers'] = async (service) =>
    (await compose('ps', '-q', service)).split('\n').filter((id) => id !== '')

  return {
    api: `http://127.0.0.1:${api}`,
    prometheus: `http://127.0.0.1:${prometheus}`,
    compose,
    containers,
    psql: (sql) =>
      compose('exec', '-T', 'postgres', 'psql', '-U', 'spms', '-d', 'spms', '-Atc', sql).then(
        (printed) => printed.trim(),
      ),
    healthy: (service, count = 1) =>
      until(async () => {
        const ids = await containers(service)
        const states = await Promise.all(
          ids.map((id) => docker('inspect', '--format', '{{ .State.Health.Status }}', id)),
        )
        return states.filter((state) => state.trim() === 'healthy').length === count
      }),
  }
}

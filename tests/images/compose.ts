import { root } from '../../scripts/paths.ts'
import { findFreePort } from '../../scripts/servers/port.ts'
import { run, succeeds } from '../../scripts/servers/run.ts'
import { until } from '../support/until.ts'

/** The services of docker-compose.yml, with their own project name and ports. */
export interface Compose {
  /** Base address of the API. */
  readonly api: string
  readonly prometheus: string
  /** Runs a command of Docker Compose, and returns its output. */
  compose(...args: readonly string[]): Promise<string>
  /** Runs SQL with psql in the Postgres container, as superuser. */
  psql(sql: string): Promise<string>
  /** Returns the ids of a service's running containers. */
  containers(service: string): Promise<string[]>
  /** Waits until this number of a service's containers pass their health check. */
  healthy(service: string, count?: number): Promise<void>
}

const PROJECT = 'spms-images'

/** Runs a Docker command, and returns its output. */
export const docker = (...args: readonly string[]): Promise<string> => run('docker', args)

/** Chooses free ports. Starts no container. */
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
    COMPOSE_PROJECT_NAME: PROJECT,
    PORT: `${api}`,
    POSTGRES_PORT: `${postgres}`,
    REDIS_PORT: `${redis}`,
    PROMETHEUS_PORT: `${prometheus}`,
    RATE_LIMIT_PER_S: '0',
  }
  const compose: Compose['compose'] = (...args) =>
    run(program, [...first, ...args], { cwd: root, env })
  /** Returns running containers, without those of `compose run`. */
  const running = async (service: string, ...filters: readonly string[]) => {
    const labels = [`project=${PROJECT}`, `service=${service}`, 'oneoff=False']
    const wanted = [...labels.map((label) => `label=com.docker.compose.${label}`), ...filters]
    const ids = await docker('ps', '-q', ...wanted.flatMap((filter) => ['--filter', filter]))
    return ids.split('\n').filter((id) => id !== '')
  }

  return {
    api: `http://127.0.0.1:${api}`,
    prometheus: `http://127.0.0.1:${prometheus}`,
    compose,
    containers: (service) => running(service),
    psql: (sql) =>
      compose('exec', '-T', 'postgres', 'psql', '-U', 'postgres', '-d', 'spms', '-Atc', sql).then(
        (printed) => printed.trim(),
      ),
    healthy: (service, count = 1) =>
      until(async () => (await running(service, 'health=healthy')).length === count),
  }
}
